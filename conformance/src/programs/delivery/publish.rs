//! A publish: where it goes, and with which options.

use serde::{Deserialize, Serialize};

use crate::programs::acts::setters;
use crate::programs::json::display_as_json;

/// One message; its step publishes it as often as the step's count says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Publish {
    /// The index of its transport. Order holds among the publishes of one transport.
    pub(crate) transport: usize,
    /// Where it goes; names become unique when the program is played.
    pub(crate) to: To,
    /// Whether it fails without a bound queue.
    #[serde(default)]
    pub(crate) mandatory: bool,
    /// Whether it declares the queue of its notification.
    #[serde(default)]
    pub(crate) ensure_queue: bool,
    pub(crate) life: Life,
    /// Whether its deadline has passed before it begins.
    #[serde(default)]
    pub(crate) too_late: bool,
    /// The size of the value of a long header, in bytes.
    pub(crate) header: Option<usize>,
    /// The size of a long body, in bytes.
    pub(crate) body: Option<usize>,
}

/// Where a message is sent, by names that are made unique when the program is played.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum To {
    /// One of the servers of a topic, whichever the bus chooses.
    Topic {
        exchange: String,
        topic: String,
    },
    Server {
        exchange: String,
        topic: String,
        name: String,
    },
    /// Every server of a topic, in every exchange.
    Fanout {
        topic: String,
    },
    /// The inbox of a reader, by its index; no queue if the reader was never open.
    Inbox {
        reader: usize,
    },
    /// The shared queue, the pools and the private readers of a topic and priority.
    Notification {
        exchange: String,
        topic: String,
        priority: String,
    },
    /// A durable queue, past every exchange. Publishing to it declares it.
    Queue {
        name: String,
        /// The length in bytes to which the name is padded.
        bytes: Option<usize>,
    },
}

/// The time to live of a message, compared with the waits of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Life {
    /// It never expires, so it must be delivered.
    Endless,
    /// Longer than any program, so the message must not expire.
    Long,
    /// Shorter than a wait: the message expires during the next one if no reader is open.
    Short,
}

display_as_json!(Publish);

impl Publish {
    /// A publish on transport 0, without options.
    pub(crate) fn to(to: To) -> Self {
        Self {
            transport: 0,
            to,
            mandatory: false,
            ensure_queue: false,
            life: Life::Endless,
            too_late: false,
            header: None,
            body: None,
        }
    }

    /// A publish to the inbox that a reader has, or had last.
    pub(crate) fn inbox(reader: usize) -> Self {
        Self::to(To::Inbox { reader })
    }

    /// Must fail with `Undeliverable` if no queue is bound.
    pub(crate) fn mandatory(mut self) -> Self {
        self.mandatory = true;
        self
    }

    /// Must fail with `Timeout`, since its deadline has passed before it begins.
    pub(crate) fn too_late(mut self) -> Self {
        self.too_late = true;
        self
    }
}

setters!(Publish {
    by(transport: usize) => transport = transport;
    ensure_queue() => ensure_queue = true;
    long_lived() => life = Life::Long;
    short_lived() => life = Life::Short;
    header_of(bytes: usize) => header = Some(bytes);
    body_of(bytes: usize) => body = Some(bytes);
});

/// Builders, with which tests write programs: one for each address.
#[cfg(test)]
impl Publish {
    pub(crate) fn topic(exchange: &str, topic: &str) -> Self {
        Self::to(To::Topic { exchange: exchange.to_owned(), topic: topic.to_owned() })
    }

    pub(crate) fn server(exchange: &str, topic: &str, name: &str) -> Self {
        Self::to(To::Server { exchange: exchange.to_owned(), topic: topic.to_owned(), name: name.to_owned() })
    }

    pub(crate) fn fanout(topic: &str) -> Self {
        Self::to(To::Fanout { topic: topic.to_owned() })
    }

    pub(crate) fn notification(exchange: &str, topic: &str, priority: &str) -> Self {
        let (exchange, topic, priority) = (exchange.to_owned(), topic.to_owned(), priority.to_owned());
        Self::to(To::Notification { exchange, topic, priority })
    }

    pub(crate) fn queue(name: &str) -> Self {
        Self::to(To::Queue { name: name.to_owned(), bytes: None })
    }

    /// Has no effect on any address but a queue by name, whose name it pads to `length` bytes.
    pub(crate) fn long_name(mut self, length: usize) -> Self {
        if let To::Queue { bytes, .. } = &mut self.to {
            *bytes = Some(length);
        }
        self
    }
}
