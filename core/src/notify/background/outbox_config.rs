//! Bounds how much a background notifier keeps in memory, and how long.

use std::num::NonZeroUsize;
use std::time::Duration;

/// The limits of an outbox of notifications. What is being published counts as well as what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxConfig {
    /// How many events it holds. Default: 10,000.
    pub max_events: usize,
    /// How many bytes of events it holds: their texts and what surrounds them. What is being published is held once
    /// more as a message. Default: 16 MiB.
    pub max_bytes: usize,
    /// How old an event may become; then it is given up. Default: 60 s.
    pub age: Duration,
    /// How many events are published at once. Default: 64.
    pub in_flight: NonZeroUsize,
    /// Which event is lost when there is no room for another. Default: the new one.
    pub when_full: WhenFull,
    /// The shortest time between two warnings about losses. Default: 10 s.
    pub log_interval: Duration,
}

/// Which event is lost when the outbox is full. Either counts in `OutboxCounts::dropped`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// The new one; it is counted as `full`.
    DropNewest,
    /// Those that wait longest, until there is room. What is being published already is not dropped.
    DropOldest,
}

impl Default for OutboxConfig {
    fn default() -> Self {
        Self {
            max_events: 10_000,
            max_bytes: 16 << 20,
            age: Duration::from_secs(60),
            in_flight: NonZeroUsize::new(64).expect("64 is not zero"),
            when_full: WhenFull::DropNewest,
            log_interval: Duration::from_secs(10),
        }
    }
}

impl OutboxConfig {
    /// Sets how many events it holds before [`WhenFull`] applies. Default: 10,000.
    #[must_use]
    pub fn with_max_events(mut self, events: usize) -> Self {
        self.max_events = events;
        self
    }

    /// Sets how many bytes of events it holds before [`WhenFull`] applies. Default: 16 MiB.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets how old an event may become before it is given up. Default: 60 s.
    #[must_use]
    pub fn with_age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// Sets how many events are published at once. Default: 64.
    #[must_use]
    pub fn with_in_flight(mut self, events: NonZeroUsize) -> Self {
        self.in_flight = events;
        self
    }

    /// Sets which event is lost when there is no room for another. Default: the new one.
    #[must_use]
    pub fn with_when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Sets the shortest time between two warnings about losses. Default: 10 s.
    #[must_use]
    pub fn with_log_interval(mut self, interval: Duration) -> Self {
        self.log_interval = interval;
        self
    }
}
