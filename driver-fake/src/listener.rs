//! A listener: each poll takes what the broker has put into the buffer of its channel, or waits for more.

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use oslo_messaging::driver::{Address, IncomingMessage, Listener, Settle};
use oslo_messaging::{Deadline, Error, Result};
use tokio::task::coop;
use tokio::time::{Instant, sleep_until};

use crate::incoming::{Settled, Unsettled};
use crate::shared::Shared;
use crate::state::BrokerState;
use crate::state::channel::{Channel, Delivery};
use crate::state::connection::EndReason;
use crate::state::id::Id;
use crate::state::mailbox::Mailbox;

/// A listener and its channel. Dropping it ends the channel; its private queues then wait to expire, because a
/// program that crashes cannot delete them either.
#[derive(Debug)]
pub(crate) struct FakeListener {
    pub(crate) broker: Arc<Shared>,
    /// The broker's side of this listener: one channel, whose end wakes the poll.
    pub(crate) channel: Id,
    /// Shared with the channel, so that the listener learns its end without the lock.
    pub(crate) mailbox: Arc<Mailbox>,
    /// Where peers reach this listener; of an inbox, its private queue.
    pub(crate) address: Address,
}

/// What the buffer of the channel offers to a poll.
///
/// Decided under the lock of the broker; the poll waits without it.
enum Buffer {
    /// Removed from the buffer; under `Settle::BeforeHandover` also acknowledged.
    Messages(Vec<Box<dyn IncomingMessage>>),
    /// No message yet; a delayed one is due at that time.
    Empty(Option<Instant>),
    /// The listener is stopped, and no poll returns a message any more.
    ///
    /// With `Settle::ByReceiver` the polls have returned what was in the buffer; with `Settle::BeforeHandover`
    /// a stopped listener is drained at once, and what is in its buffer goes back to its queue when the channel ends.
    Drained,
}

impl FakeListener {
    /// Takes up to `max` messages, if there are any, under one lock: a message
    /// is either in the buffer or returned by a poll.
    ///
    /// Fails with `Closed` or `Disconnected` if the channel has ended, by the reason of its end.
    fn check_buffer(&self, max: usize) -> Result<Buffer> {
        self.broker.with(|state| {
            if let Some(end) = self.mailbox.end.get() {
                return Err(end.error_in_flight("poll"));
            }
            let due = state.delayed.next_due();
            let channel = state.channels.get(&self.channel).expect("a channel without an end exists");
            match (channel.buffer.len(), channel.stopped) {
                // Messages that were not acknowledged before the stop return to their queue when the channel ends.
                (_, true) if channel.settle == Settle::BeforeHandover => Ok(Buffer::Drained),
                (0, true) => Ok(Buffer::Drained),
                (0, false) => Ok(Buffer::Empty(due)),
                (ready, _) => Ok(Buffer::Messages(self.take(state, ready.min(max)))),
            }
        })
    }

    /// Removes the first `count` messages from the buffer, which has that many.
    ///
    /// Acknowledges them too, unless the receiver does.
    fn take(&self, state: &mut BrokerState, count: usize) -> Vec<Box<dyn IncomingMessage>> {
        let channel = state.channels.get_mut(&self.channel).expect("the buffer was just checked");
        match channel.settle {
            Settle::ByReceiver => (0..count).map(|_| self.hold(channel)).collect(),
            Settle::BeforeHandover => self.acknowledge(state, count),
        }
    }

    /// Moves one message from the buffer to the receiver, who must settle it.
    fn hold(&self, channel: &mut Channel) -> Box<dyn IncomingMessage> {
        let delivery = channel.buffer.pop_front().expect("the buffer has that many");
        let message = Arc::clone(&delivery.entry.message);
        let redelivered = delivery.entry.redelivered;
        Box::new(Unsettled {
            broker: Arc::clone(&self.broker),
            mailbox: Arc::clone(&self.mailbox),
            channel: self.channel,
            tag: channel.hold(delivery),
            message,
            redelivered,
            settlement: None,
        })
    }

    /// Acknowledges the first `count` messages with one write, then removes them from the buffer.
    fn acknowledge(&self, state: &mut BrokerState, count: usize) -> Vec<Box<dyn IncomingMessage>> {
        state.counters.acknowledgement_writes += 1;
        state.counters.acknowledged += count as u64;
        let mut messages: Vec<Box<dyn IncomingMessage>> = Vec::with_capacity(count);
        for _ in 0..count {
            let channel = state.channels.get_mut(&self.channel).expect("the buffer was just checked");
            let Delivery { consumer, entry } = channel.buffer.pop_front().expect("the buffer has that many");
            let queue = state.release(self.channel, consumer);
            state.deliver_ready(queue);
            messages.push(Box::new(Settled { message: entry.message, redelivered: entry.redelivered }));
        }
        messages
    }

    /// The result of a `stop` or a `close`, which had its effect whatever this returns.
    fn result_of(&self, operation: &'static str, deadline: Deadline) -> Result<()> {
        match self.mailbox.end.get() {
            Some(end @ EndReason::Lost(_)) => Err(end.error(operation)),
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

    /// Returns as many buffered messages as there are, at most `max`. Waits only if there is none.
    ///
    /// # Cancellation
    /// Safe: messages are taken in the last step, which does not wait.
    async fn poll(&mut self, max: NonZeroUsize) -> Result<Option<Vec<Box<dyn IncomingMessage>>>> {
        // A busy listener yields to other tasks, before it removes messages: a cancelled poll loses none.
        coop::consume_budget().await;
        loop {
            let woken = self.mailbox.wake_up.notified();
            match self.check_buffer(max.get())? {
                Buffer::Messages(messages) => return Ok(Some(messages)),
                Buffer::Drained => return Ok(None),
                Buffer::Empty(None) => woken.await,
                Buffer::Empty(Some(due)) => tokio::select! {
                    () = woken => {}
                    () = sleep_until(due) => {}
                },
            }
        }
    }

    /// Takes effect at once, also if it fails with `Timeout` because the
    /// deadline has passed. Polls then drain the buffer.
    async fn stop(&mut self, deadline: Deadline) -> Result<()> {
        self.broker.with(|state| state.cancel(self.channel));
        self.result_of("stop", deadline)
    }

    /// Deletes private queues and requeues unsettled messages, also if it returns an error.
    ///
    /// # Errors
    /// `Disconnected` if the connection was lost before; `Timeout` if the deadline has passed.
    async fn close(self: Box<Self>, deadline: Deadline) -> Result<()> {
        let result = self.result_of("close", deadline);
        self.broker.with(|state| state.close_channel(self.channel));
        result
    }
}

impl Drop for FakeListener {
    /// Ends the channel as a crash would: unsettled messages are requeued, private queues stay until they expire.
    fn drop(&mut self) {
        self.broker.with(|state| state.end_channel(self.channel, &EndReason::Closed));
    }
}
