//! A reader of one subscription.

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use oslo_messaging::{Address, Deadline, Error, IncomingMessage, Listener, Result, Settle};
use tokio::task::coop;
use tokio::time::{Instant, sleep_until};

use crate::broker::Shared;
use crate::incoming::{Settled, Unsettled};
use crate::state::BrokerState;
use crate::state::channel::{Channel, Delivery};
use crate::state::connection::End;
use crate::state::id::Id;
use crate::state::mailbox::Mailbox;

/// A listener, and with it the channel its messages come through. Dropping it ends the channel; its private queues then
/// wait to expire, since a program that dies cannot delete them either.
#[derive(Debug)]
pub(crate) struct FakeListener {
    pub(crate) broker: Arc<Shared>,
    pub(crate) channel: Id,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) address: Address,
}

/// What a look into the buffer brought.
enum Look {
    Messages(Vec<Box<dyn IncomingMessage>>),
    /// Nothing yet; a message on the way is due then.
    Nothing(Option<Instant>),
    Drained,
}

impl FakeListener {
    fn look(&self, max: usize) -> Result<Look> {
        self.broker.with(|state| {
            if let Some(end) = self.mailbox.end.get() {
                return Err(end.error_under_way("poll"));
            }
            let due = state.delayed.next_due();
            let channel = state.channels.get(&self.channel).expect("a channel without an end exists");
            match (channel.buffer.len(), channel.stopped) {
                // What was not acknowledged before the stop stays the broker's: it comes back with the end of the channel.
                (_, true) if channel.settle == Settle::BeforeHandover => Ok(Look::Drained),
                (0, true) => Ok(Look::Drained),
                (0, false) => Ok(Look::Nothing(due)),
                (ready, _) => Ok(Look::Messages(self.take(state, ready.min(max)))),
            }
        })
    }

    /// Takes the first `count` messages out of the buffer, which holds that many.
    fn take(&self, state: &mut BrokerState, count: usize) -> Vec<Box<dyn IncomingMessage>> {
        let channel = state.channels.get_mut(&self.channel).expect("it was just looked at");
        match channel.settle {
            Settle::ByReceiver => (0..count).map(|_| self.hold(channel)).collect(),
            Settle::BeforeHandover => self.acknowledge(state, count),
        }
    }

    fn hold(&self, channel: &mut Channel) -> Box<dyn IncomingMessage> {
        let delivery = channel.buffer.pop_front().expect("it holds that many");
        let message = Arc::clone(&delivery.entry.message);
        let redelivered = delivery.entry.redelivered;
        Box::new(Unsettled {
            broker: Arc::clone(&self.broker),
            mailbox: Arc::clone(&self.mailbox),
            channel: self.channel,
            tag: channel.hold(delivery),
            message,
            redelivered,
            verdict: None,
        })
    }

    /// Acknowledges the first `count` messages with one write, and then takes them.
    fn acknowledge(&self, state: &mut BrokerState, count: usize) -> Vec<Box<dyn IncomingMessage>> {
        state.counters.acknowledgement_writes += 1;
        state.counters.acknowledged += count as u64;
        let mut messages: Vec<Box<dyn IncomingMessage>> = Vec::with_capacity(count);
        for _ in 0..count {
            let channel = state.channels.get_mut(&self.channel).expect("it was just looked at");
            let Delivery { consumer, entry } = channel.buffer.pop_front().expect("it holds that many");
            let queue = state.release(self.channel, consumer);
            state.pump(queue);
            messages.push(Box::new(Settled { message: entry.message, redelivered: entry.redelivered }));
        }
        messages
    }

    /// How a `stop` or a `close` that has had its effect went.
    fn outcome(&self, operation: &'static str, deadline: Deadline) -> Result<()> {
        match self.mailbox.end.get() {
            Some(end @ End::Lost(_)) => Err(end.error(operation)),
            _ if deadline.has_passed() => Err(Error::timeout(operation)),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Listener for FakeListener {
    fn address(&self) -> &Address {
        &self.address
    }

    async fn poll(&mut self, max: NonZeroUsize) -> Result<Option<Vec<Box<dyn IncomingMessage>>>> {
        // A busy listener lets its neighbours run. Before the look: nothing that was taken waits for anything.
        coop::consume_budget().await;
        loop {
            let rung = self.mailbox.bell.notified();
            match self.look(max.get())? {
                Look::Messages(messages) => return Ok(Some(messages)),
                Look::Drained => return Ok(None),
                Look::Nothing(None) => rung.await,
                Look::Nothing(Some(due)) => tokio::select! {
                    () = rung => {}
                    () = sleep_until(due) => {}
                },
            }
        }
    }

    async fn stop(&mut self, deadline: Deadline) -> Result<()> {
        self.broker.with(|state| state.cancel(self.channel));
        self.outcome("stop", deadline)
    }

    async fn close(self: Box<Self>, deadline: Deadline) -> Result<()> {
        let outcome = self.outcome("close", deadline);
        self.broker.with(|state| state.close_channel(self.channel));
        outcome
    }
}

impl Drop for FakeListener {
    fn drop(&mut self) {
        self.broker.with(|state| state.end_channel(self.channel, &End::Closed));
    }
}
