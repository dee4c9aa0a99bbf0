//! An event, and the script of its handlers: how often they requeue it and fail before one succeeds.

use oslo_messaging::Priority;
use serde::{Deserialize, Serialize};

use super::priority;
use crate::programs::acts::setters;

/// An event of a program. Each notifier sends its events in order, each when the one before is confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the wire calls the field event_type")]
#[expect(clippy::struct_excessive_bools, reason = "each turns on one thing that may go with any other")]
pub(crate) struct Event {
    pub(crate) exchange: String,
    pub(crate) topic: String,
    #[serde(with = "priority")]
    pub(crate) priority: Priority,
    /// The event type; listeners filter by its whole name or its prefix.
    pub(crate) event_type: String,
    /// The publisher id; listeners may filter by its prefix.
    pub(crate) publisher: String,
    /// Whether it is sent without the envelope of messaging version 2.
    #[serde(default)]
    pub(crate) bare: bool,
    /// Whether its publisher does not declare the queue.
    #[serde(default)]
    pub(crate) without_queue: bool,
    /// How often the readers of one queue requeue it before one handles it.
    pub(crate) requeued: u32,
    /// How many tries of a listener fail before one succeeds.
    pub(crate) failing: u32,
    /// Whether its handler takes a third of [`Budget::quiet`](crate::Budget::quiet).
    #[serde(default)]
    pub(crate) slow: bool,
    /// How often it is sent, each time as an event with its own number.
    pub(crate) times: usize,
    /// Whether it is sent without waiting for the confirm of the one before.
    #[serde(default)]
    pub(crate) at_once: bool,
}

impl Event {
    /// An event `order.made` of the publisher `shop`, whose first handler succeeds at once.
    pub(crate) fn new(exchange: &str, topic: &str, priority: Priority) -> Self {
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

    /// Sends it that many times, each time as an event with its own number.
    pub(crate) fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Whether it goes to the same address as `other`.
    pub(crate) fn goes_where(&self, other: &Self) -> bool {
        (&self.exchange, &self.topic, self.priority) == (&other.exchange, &other.topic, other.priority)
    }
}

setters!(Event {
    event_type(name: &str) => event_type = name.to_owned();
    publisher(name: &str) => publisher = name.to_owned();
    bare() => bare = true;
    without_queue() => without_queue = true;
    requeued(times: u32) => requeued = times;
    failing(tries: u32) => failing = tries;
    slow() => slow = true;
    at_once() => at_once = true;
});
