//! Routing: from a publish through an exchange into queues and to consumers.

use std::sync::Arc;

use oslo_messaging::driver::{ExchangeKind, Message, Origin};
use oslo_messaging::{Error, ErrorKind, Executed, Result};
use tokio::time::Instant;

use crate::state::BrokerState;
use crate::state::destination::Destination;
use crate::state::id::{ConsumerId, Id};
use crate::state::queue::Entry;

impl BrokerState {
    /// Declares what the address declares and routes the message.
    ///
    /// Fails with `Topology` if a declaration conflicts, and with `Undeliverable` if `mandatory` and no queue is bound.
    ///
    /// Messages that wait to be overtaken arrive after this one, unless it fails.
    pub(crate) fn publish(
        &mut self,
        connection: Id,
        to: &Destination,
        message: Message,
        mandatory: bool,
    ) -> Result<()> {
        self.counters.published += 1;
        self.declare_destination(connection, to)?;
        self.route(to, message, mandatory)?;
        self.release_overtaken();
        Ok(())
    }

    /// Puts the message into every queue that is bound, without declaring any.
    pub(crate) fn route(&mut self, to: &Destination, message: Message, mandatory: bool) -> Result<()> {
        let origin = Origin::new(to.exchange.name.clone(), to.key.clone());
        let message = message.with_origin(Arc::new(origin));
        let mut queues = std::mem::take(&mut self.routed);
        queues.clear();
        self.find_queues(to, &mut queues);
        if let Some((last, others)) = queues.split_last() {
            for queue in others {
                self.arrive(*queue, message.clone());
            }
            self.arrive(*last, message);
        } else if mandatory {
            self.routed = queues;
            return Err(self.returned(to));
        }
        self.routed = queues;
        Ok(())
    }

    /// Declares and routes as [`publish`](Self::publish) does, with the same result, but stores no message.
    pub(crate) fn publish_discarding(&mut self, connection: Id, to: &Destination, mandatory: bool) -> Result<()> {
        self.counters.published += 1;
        self.declare_destination(connection, to)?;
        let mut queues = Vec::new();
        self.find_queues(to, &mut queues);
        if queues.is_empty() && mandatory { Err(self.returned(to)) } else { Ok(()) }
    }

    /// Counts a returned message; the error is for its publisher.
    pub(crate) fn returned(&mut self, to: &Destination) -> Error {
        self.counters.returned += 1;
        Error::new(ErrorKind::Undeliverable, "publish")
            .with_executed(Executed::No)
            .with_context("exchange", &to.exchange.name)
            .with_context("routing_key", &to.key)
    }

    /// The default exchange routes to the queue that has the key as its name.
    fn find_queues(&self, to: &Destination, found: &mut Vec<Id>) {
        match to.exchange.kind {
            ExchangeKind::Default => found.extend(self.queue_ids.get(to.key.as_str())),
            ExchangeKind::Topic | ExchangeKind::Fanout => {
                if let Some(exchange) = self.exchanges.get(to.exchange.name.as_str()) {
                    exchange.route(&to.key, found);
                }
            }
        }
    }

    /// Delivers the message at once if a consumer has room and no other message waits; else appends it.
    fn arrive(&mut self, id: Id, message: Message) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        self.counters.expired += queue.drop_expired(Instant::now);
        // A time that the clock cannot represent never comes.
        let expires = message.expiration.and_then(|after| Instant::now().checked_add(after));
        let entry = queue.entry(message, expires);
        let consumer = if queue.is_empty() { queue.next_available() } else { None };
        match consumer {
            // A message that is delivered at once never expires: that is the meaning of a time to live of zero.
            Some(consumer) => self.deliver(id, consumer, entry),
            None => queue.put(entry),
        }
    }

    /// Delivers ready messages of a queue, in turn, to its consumers with room.
    ///
    /// Called whenever a message or room in a window appears, which keeps the invariant of [`BrokerState`].
    pub(crate) fn deliver_ready(&mut self, id: Id) {
        while let Some(queue) = self.queues.get_mut(&id) {
            self.counters.expired += queue.drop_expired(Instant::now);
            if queue.is_empty() {
                return;
            }
            let Some(consumer) = queue.next_available() else { return };
            let entry = queue.pop().expect("it is not empty");
            self.deliver(id, consumer, entry);
        }
    }

    /// Sets the time of receipt and the delivery count of the message, and wakes the listener of an empty buffer.
    fn deliver(&mut self, queue: Id, consumer: ConsumerId, mut entry: Entry) {
        self.counters.delivered += 1;
        let queue = self.queues.get_mut(&queue).expect("the message came from it");
        let limit = self.config.delivery_limit.filter(|limit| queue.is_limited(limit));
        let message = Arc::make_mut(&mut entry.message);
        message.received_at = Some(Instant::now());
        message.delivery_count = limit.and_then(|limit| limit.shown(entry.failed));
        let channel = self.channels.get_mut(&consumer.channel).expect("a channel leaves its queues before it ends");
        queue.unsettled += 1;
        if channel.buffer.is_empty() {
            self.wake_ups.add(&channel.mailbox);
        }
        if channel.deliver(consumer.index, entry) {
            queue.add_available(consumer);
        }
    }
}
