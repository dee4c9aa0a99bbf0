//! Which messages were seen before.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Remembers the `_unique_id` of what came by, as many as fit and for as long as is useful.
///
/// One per subscription: a fanout to fifty servers of one process is not fifty duplicates.
#[derive(Debug)]
pub(crate) struct DuplicateFilter {
    capacity: usize,
    age: Duration,
    seen: HashMap<Arc<str>, Instant>,
    /// The same ids, oldest first.
    order: VecDeque<Arc<str>>,
}

impl DuplicateFilter {
    /// Remembers the last `capacity` ids, each for `age`; with a capacity of 0 nothing is ever a duplicate.
    pub(crate) fn new(capacity: usize, age: Duration) -> Self {
        Self { capacity, age, seen: HashMap::new(), order: VecDeque::new() }
    }

    /// Remembers `id`; whether this is the first time. A repetition does not make it young again.
    ///
    /// An empty id, as of a message that carries none, is always the first of its kind.
    pub(crate) fn insert(&mut self, id: &str) -> bool {
        if id.is_empty() || self.capacity == 0 {
            return true;
        }
        let now = Instant::now();
        while self.order.front().is_some_and(|oldest| now.duration_since(self.seen[oldest]) >= self.age) {
            self.forget_oldest();
        }
        if self.seen.contains_key(id) {
            return false;
        }
        if self.order.len() >= self.capacity {
            self.forget_oldest();
        }
        let id: Arc<str> = id.into();
        self.seen.insert(Arc::clone(&id), now);
        self.order.push_back(id);
        true
    }

    /// Whether `id` was remembered and is not yet too old.
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.seen.get(id).is_some_and(|at| at.elapsed() < self.age)
    }

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
        assert!(!filter.contains("a"));
        assert!(filter.insert("a"));
        assert!(filter.contains("a"));
        assert!(!filter.insert("a"));
        assert!(filter.insert("b"));
    }

    #[tokio::test(start_paused = true)]
    async fn messages_without_an_id_are_never_duplicates() {
        let mut filter = DuplicateFilter::new(10, AGE);
        assert!(filter.insert("") && filter.insert(""));
        assert!(!filter.contains(""));
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_is_forgotten_for_the_newest() {
        let mut filter = DuplicateFilter::new(2, AGE);
        assert!(filter.insert("a") && filter.insert("b") && filter.insert("c"));
        assert!(!filter.contains("a"));
        assert!(filter.contains("b") && filter.contains("c"));
        assert_eq!((filter.seen.len(), filter.order.len()), (2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_id_is_forgotten_at_its_age_even_if_it_was_repeated() {
        let mut filter = DuplicateFilter::new(10, AGE);
        assert!(filter.insert("a"));
        advance(AGE / 2).await;
        assert!(!filter.insert("a"));
        assert!(filter.insert("b"));
        advance(AGE / 2).await;
        assert!(!filter.contains("a"));
        assert!(filter.contains("b"));
        assert!(filter.insert("a"));
        advance(AGE).await;
        assert!(filter.insert("c"));
        assert_eq!((filter.seen.len(), filter.order.len()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn without_room_nothing_is_a_duplicate() {
        let mut filter = DuplicateFilter::new(0, AGE);
        assert!(filter.insert("a") && filter.insert("a"));
        assert!(filter.seen.is_empty());
    }
}
