//! What a notifier tells.

use oslo_messaging::Priority;

/// An event of a program: where it goes, who tells it, and what its handlers are to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each turns on one thing that may go with any other")]
pub struct Tell {
    pub(crate) exchange: String,
    pub(crate) topic: String,
    pub(crate) priority: Priority,
    pub(crate) event_type: String,
    pub(crate) publisher: String,
    pub(crate) bare: bool,
    pub(crate) without_queue: bool,
    pub(crate) requeued: u32,
    pub(crate) failing: u32,
    pub(crate) slow: bool,
    pub(crate) times: usize,
    pub(crate) at_once: bool,
}

impl Tell {
    /// An event `order.made` of the publisher `shop`, which is handled at once.
    #[must_use]
    pub fn new(exchange: &str, topic: &str, priority: Priority) -> Self {
        Self {
            exchange: exchange.to_owned(),
            topic: topic.to_owned(),
            priority,
            event_type: "order.made".to_owned(),
            publisher: "shop".to_owned(),
            bare: false,
            without_queue: false,
            requeued: 0,
            failing: 0,
            slow: false,
            times: 1,
            at_once: false,
        }
    }

    /// Is of another type.
    #[must_use]
    pub fn event_type(mut self, event_type: &str) -> Self {
        event_type.clone_into(&mut self.event_type);
        self
    }

    /// Is told by another publisher.
    #[must_use]
    pub fn publisher(mut self, publisher: &str) -> Self {
        publisher.clone_into(&mut self.publisher);
        self
    }

    /// Is written without an envelope.
    #[must_use]
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// Leaves the queue to whoever listens.
    #[must_use]
    pub fn without_queue(mut self) -> Self {
        self.without_queue = true;
        self
    }

    /// Is given back so many times by those who read one copy, before it is handled.
    #[must_use]
    pub fn requeued(mut self, times: u32) -> Self {
        self.requeued = times;
        self
    }

    /// Fails in so many tries of a listener, before it is handled.
    #[must_use]
    pub fn failing(mut self, tries: u32) -> Self {
        self.failing = tries;
        self
    }

    /// Is handled for a while.
    #[must_use]
    pub fn slow(mut self) -> Self {
        self.slow = true;
        self
    }

    /// Is told so many times, each with a number of its own.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Is told without waiting for the confirmation of the one before.
    #[must_use]
    pub fn at_once(mut self) -> Self {
        self.at_once = true;
        self
    }

    /// Whether it goes to the same address as `other`.
    pub(crate) fn goes_where(&self, other: &Self) -> bool {
        (&self.exchange, &self.topic, self.priority) == (&other.exchange, &other.topic, other.priority)
    }
}
