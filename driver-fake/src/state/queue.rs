//! A queue: messages in order, and the round of its consumers. The caller passes the time.

use std::collections::VecDeque;
use std::sync::Arc;

use oslo_messaging::driver::{Lifetime, Message};
use tokio::time::Instant;

use crate::delivery_limit::DeliveryLimit;
use crate::state::id::{ConsumerId, Id};

/// A message in a queue, or delivered from it and unsettled.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its position in the queue, assigned on arrival and kept: a requeued message returns there.
    pub(crate) position: u64,
    /// Shared with the receiver, so that redelivery copies no body.
    pub(crate) message: Arc<Message>,
    /// Whether it was returned to the queue before; the next delivery is marked as redelivered then.
    pub(crate) redelivered: bool,
    /// How many of its deliveries failed. Counted only in a queue with a delivery limit.
    pub(crate) failed: u64,
    /// The end of its time to live. Applies only while the message is ready.
    pub(crate) expires: Option<Instant>,
}

impl Entry {
    fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}

/// A queue. Its unsettled messages are in the channels of its consumers.
///
/// Invariant: `ready` is sorted by position, and `available` has only consumers with room.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) id: Id,
    pub(crate) name: Arc<str>,
    pub(crate) lifetime: Lifetime,
    /// Whether it is exclusive to another program: declaring it then fails with `Topology`.
    pub(crate) exclusive: bool,
    /// When it will be deleted: set while a private queue has no consumer.
    pub(crate) expires: Option<Instant>,
    /// How many of its messages are delivered and unsettled; the channels of its consumers hold them.
    pub(crate) unsettled: usize,
    /// How many consumers share its messages in turn.
    pub(crate) consumers: usize,
    /// The exchanges it is bound to; deleting the queue removes its bindings there.
    pub(crate) bound_to: Vec<Arc<str>>,
    /// Ordered by position, so that a message that returns takes its old place.
    ready: VecDeque<Entry>,
    /// Counts up with each arrival, so that no two messages share a position.
    next_position: u64,
    /// The consumers with room in their windows, in the order of the round.
    available: VecDeque<ConsumerId>,
}

impl Queue {
    pub(crate) fn new(id: Id, name: Arc<str>, lifetime: Lifetime) -> Self {
        Self {
            id,
            name,
            lifetime,
            exclusive: false,
            expires: None,
            unsettled: 0,
            consumers: 0,
            bound_to: Vec::new(),
            ready: VecDeque::new(),
            next_position: 0,
            available: VecDeque::new(),
        }
    }

    /// Whether `limit` applies to this queue: private queues are never quorum queues.
    pub(crate) fn is_limited(&self, limit: &DeliveryLimit) -> bool {
        self.lifetime == Lifetime::Shared && limit.covers(&self.name)
    }

    /// Assigns `message` the next position. The caller puts it in the queue, or delivers it at once.
    pub(crate) fn entry(&mut self, message: Message, expires: Option<Instant>) -> Entry {
        let position = self.next_position;
        self.next_position += 1;
        let message = Arc::new(message.with_queue(Arc::clone(&self.name)));
        Entry { position, message, redelivered: false, failed: 0, expires }
    }

    /// Inserts `entry` at its position: the end for a new message, mostly the front for a requeued one.
    ///
    /// Constant time for new messages; a binary search for requeued ones.
    pub(crate) fn put(&mut self, entry: Entry) {
        let at = match self.ready.back() {
            Some(last) if last.position > entry.position => {
                self.ready.partition_point(|other| other.position < entry.position)
            }
            _ => self.ready.len(),
        };
        self.ready.insert(at, entry);
    }

    /// Removes and returns the oldest message: the one with the lowest position, not the one that came last.
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.ready.pop_front()
    }

    /// Drops expired messages from the head and returns how many. An expired message behind a live one stays until it
    /// reaches the head, as in RabbitMQ. Reads `clock` only if the first message can expire.
    pub(crate) fn drop_expired(&mut self, clock: impl FnOnce() -> Instant) -> u64 {
        if self.ready.front().is_none_or(|entry| entry.expires.is_none()) {
            return 0;
        }
        let now = clock();
        let mut dropped = 0;
        while self.ready.front().is_some_and(|entry| entry.is_expired(now)) {
            self.ready.pop_front();
            dropped += 1;
        }
        dropped
    }

    /// How many messages wait for a consumer, expired ones included.
    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Removes the next consumer from the round. The caller adds it again with
    /// [`add_available`](Self::add_available) if it has room left.
    ///
    /// `None` if no consumer has room.
    pub(crate) fn next_available(&mut self) -> Option<ConsumerId> {
        self.available.pop_front()
    }

    /// Adds `consumer` at the end of the round: the others get a message before it does.
    pub(crate) fn add_available(&mut self, consumer: ConsumerId) {
        self.available.push_back(consumer);
    }

    /// Has no effect on a consumer without room, which is not in the round.
    pub(crate) fn remove_available(&mut self, consumer: ConsumerId) {
        self.available.retain(|other| *other != consumer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue {
        Queue::new(1, "q".into(), Lifetime::Shared)
    }

    fn positions(queue: &mut Queue) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop()).map(|entry| entry.position).collect()
    }

    #[test]
    fn a_requeued_message_returns_to_its_position() {
        let mut queue = queue();
        let mut entries: Vec<_> = (0..4).map(|_| queue.entry(Message::new("x"), None)).collect();
        let third = entries.remove(2);
        let first = entries.remove(0);
        for entry in entries {
            queue.put(entry);
        }
        queue.put(third);
        queue.put(first);
        assert_eq!(positions(&mut queue), [0, 1, 2, 3]);
    }

    #[test]
    fn an_expired_message_behind_a_live_one_stays() {
        let mut queue = queue();
        let now = Instant::now();
        for expires in [Some(now), None, Some(now)] {
            let entry = queue.entry(Message::new("x"), expires);
            queue.put(entry);
        }
        assert_eq!(queue.drop_expired(|| now), 1);
        assert_eq!(positions(&mut queue), [1, 2]);
    }
}
