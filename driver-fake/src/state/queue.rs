//! A queue: messages in order, and whose turn it is. Pure: told the time, never asks for it.

use std::collections::VecDeque;
use std::sync::Arc;

use oslo_messaging::{Lifetime, Message};
use tokio::time::Instant;

use crate::delivery_limit::DeliveryLimit;
use crate::state::channel::ConsumerId;
use crate::state::id::Id;

/// A message in a queue, or handed over and unsettled.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its place among the messages of its queue, kept for life: given back, it returns there.
    pub(crate) place: u64,
    pub(crate) message: Arc<Message>,
    pub(crate) redelivered: bool,
    /// How many of its deliveries failed, as a queue with a delivery limit counts them.
    pub(crate) failed: u64,
    pub(crate) expires: Option<Instant>,
}

impl Entry {
    fn is_expired(&self, now: Instant) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}

/// A queue, without the messages that its consumers hold.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) id: Id,
    pub(crate) name: Arc<str>,
    pub(crate) lifetime: Lifetime,
    /// Whether another program has it for itself.
    pub(crate) exclusive: bool,
    /// When it will be deleted, if it is private and nobody reads it.
    pub(crate) expires: Option<Instant>,
    /// How many messages were handed over and not settled.
    pub(crate) unsettled: usize,
    /// How many consumers it has.
    pub(crate) consumers: usize,
    /// The exchanges it was bound to.
    pub(crate) bound_to: Vec<Arc<str>>,
    /// Ordered by place, oldest first.
    ready: VecDeque<Entry>,
    next_place: u64,
    /// The consumers with room in their windows, the next one first.
    takers: VecDeque<ConsumerId>,
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
            next_place: 0,
            takers: VecDeque::new(),
        }
    }

    /// Whether `limit` holds for this queue: private ones are never quorum queues.
    pub(crate) fn is_limited(&self, limit: &DeliveryLimit) -> bool {
        self.lifetime == Lifetime::Shared && limit.covers(&self.name)
    }

    /// The entry of a message that arrives now, not yet in the queue.
    pub(crate) fn entry(&mut self, message: Message, expires: Option<Instant>) -> Entry {
        let place = self.next_place;
        self.next_place += 1;
        let message = Arc::new(message.with_queue(Arc::clone(&self.name)));
        Entry { place, message, redelivered: false, failed: 0, expires }
    }

    /// Puts `entry` at its place: the end for a new one, mostly the front for one that comes back.
    pub(crate) fn put(&mut self, entry: Entry) {
        let at = match self.ready.back() {
            Some(last) if last.place > entry.place => self.ready.partition_point(|other| other.place < entry.place),
            _ => self.ready.len(),
        };
        self.ready.insert(at, entry);
    }

    /// Takes the first message.
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.ready.pop_front()
    }

    /// Drops what has expired at the front, and says how many; what lies behind a live message waits for its turn, as
    /// in RabbitMQ. The clock is read only if the first message can expire.
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

    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Takes the consumer whose turn it is; it comes back with [`add_taker`](Self::add_taker) if it has room left.
    pub(crate) fn next_taker(&mut self) -> Option<ConsumerId> {
        self.takers.pop_front()
    }

    /// Puts `consumer` last in the round.
    pub(crate) fn add_taker(&mut self, consumer: ConsumerId) {
        self.takers.push_back(consumer);
    }

    /// Takes `consumer` out of the round.
    pub(crate) fn remove_taker(&mut self, consumer: ConsumerId) {
        self.takers.retain(|other| *other != consumer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue {
        Queue::new(1, "q".into(), Lifetime::Shared)
    }

    fn places(queue: &mut Queue) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop()).map(|entry| entry.place).collect()
    }

    #[test]
    fn what_comes_back_returns_to_its_place() {
        let mut queue = queue();
        let mut entries: Vec<_> = (0..4).map(|_| queue.entry(Message::new("x"), None)).collect();
        let third = entries.remove(2);
        let first = entries.remove(0);
        for entry in entries {
            queue.put(entry);
        }
        queue.put(third);
        queue.put(first);
        assert_eq!(places(&mut queue), [0, 1, 2, 3]);
    }

    #[test]
    fn an_expired_message_behind_a_live_one_waits_for_its_turn() {
        let mut queue = queue();
        let now = Instant::now();
        for expires in [Some(now), None, Some(now)] {
            let entry = queue.entry(Message::new("x"), expires);
            queue.put(entry);
        }
        assert_eq!(queue.drop_expired(|| now), 1);
        assert_eq!(places(&mut queue), [1, 2]);
    }
}
