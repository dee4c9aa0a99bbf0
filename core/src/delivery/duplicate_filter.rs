//! A bounded memory of message ids, which separates a repeated delivery from a new message.
//!
//! The reference keeps the last 16 ids of a consumer (`_drivers/amqp.py`, `_MsgIdCache`); this filter keeps
//! more, because a reconnect redelivers a whole prefetch window.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::message_key::MessageKey;

/// Remembers the `_unique_id` of what came by, as many as fit and for as long as is useful.
///
/// One per subscription: a fanout to fifty servers of one process is not fifty duplicates. It keeps keys, not ids, so
/// its memory depends on its capacity alone: about 80 bytes for each message that it remembers.
#[derive(Debug)]
pub(crate) struct DuplicateFilter {
    /// The most keys that are remembered; 0 turns the filter off.
    capacity: usize,
    /// For how long a key counts, from when it was first seen.
    age: Duration,
    /// When each key was first seen.
    seen: HashMap<MessageKey, Instant>,
    /// The keys of `seen`, oldest first, so that the oldest is found without a search.
    order: VecDeque<MessageKey>,
}

impl DuplicateFilter {
    /// Remembers the last `capacity` ids, each for `age`; with a capacity of 0 nothing is ever a duplicate.
    pub(crate) fn new(capacity: usize, age: Duration) -> Self {
        Self { capacity, age, seen: HashMap::new(), order: VecDeque::new() }
    }

    /// Remembers the message; whether this is the first time. A repetition does not make it young again.
    ///
    /// A message that carries no id is always the first of its kind.
    pub(crate) fn insert(&mut self, key: Option<MessageKey>) -> bool {
        let Some(key) = key.filter(|_| self.capacity > 0) else { return true };
        let now = Instant::now();
        // The oldest are first, so each call drops only what has become too old since the last one.
        while self.order.front().is_some_and(|oldest| now.duration_since(self.seen[oldest]) >= self.age) {
            self.forget_oldest();
        }
        if self.seen.contains_key(&key) {
            return false;
        }
        if self.order.len() >= self.capacity {
            self.forget_oldest();
        }
        self.seen.insert(key, now);
        self.order.push_back(key);
        true
    }

    /// Whether the message was remembered and is not yet too old. The question does not make it young again.
    pub(crate) fn contains(&self, key: Option<MessageKey>) -> bool {
        key.and_then(|key| self.seen.get(&key)).is_some_and(|at| at.elapsed() < self.age)
    }

    /// Removes the key from `seen` and `order` alike, which hold the same keys at any time.
    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            self.seen.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const AGE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn the_second_time_is_a_duplicate() {
        let mut filter = DuplicateFilter::new(10, AGE);
        assert!(!filter.contains(MessageKey::of("a")));
        assert!(filter.insert(MessageKey::of("a")));
        assert!(filter.contains(MessageKey::of("a")));
        assert!(!filter.insert(MessageKey::of("a")));
        assert!(filter.insert(MessageKey::of("b")));
    }

    #[tokio::test(start_paused = true)]
    async fn messages_without_an_id_are_never_duplicates() {
        let mut filter = DuplicateFilter::new(10, AGE);
        assert!(filter.insert(MessageKey::of("")) && filter.insert(MessageKey::of("")));
        assert!(!filter.contains(MessageKey::of("")));
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_is_forgotten_for_the_newest() {
        let mut filter = DuplicateFilter::new(2, AGE);
        assert!(
            filter.insert(MessageKey::of("a"))
                && filter.insert(MessageKey::of("b"))
                && filter.insert(MessageKey::of("c"))
        );
        assert!(!filter.contains(MessageKey::of("a")));
        assert!(filter.contains(MessageKey::of("b")) && filter.contains(MessageKey::of("c")));
        assert_eq!((filter.seen.len(), filter.order.len()), (2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_id_is_forgotten_at_its_age_even_if_it_was_repeated() {
        let mut filter = DuplicateFilter::new(10, AGE);
        assert!(filter.insert(MessageKey::of("a")));
        advance(AGE / 2).await;
        assert!(!filter.insert(MessageKey::of("a")));
        assert!(filter.insert(MessageKey::of("b")));
        advance(AGE / 2).await;
        assert!(!filter.contains(MessageKey::of("a")));
        assert!(filter.contains(MessageKey::of("b")));
        assert!(filter.insert(MessageKey::of("a")));
        advance(AGE).await;
        assert!(filter.insert(MessageKey::of("c")));
        assert_eq!((filter.seen.len(), filter.order.len()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn without_room_nothing_is_a_duplicate() {
        let mut filter = DuplicateFilter::new(0, AGE);
        assert!(filter.insert(MessageKey::of("a")) && filter.insert(MessageKey::of("a")));
        assert!(filter.seen.is_empty());
    }
}
