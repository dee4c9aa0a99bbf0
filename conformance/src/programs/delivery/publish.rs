//! What is published, and how.

use serde::{Deserialize, Serialize};

/// One message: where it goes and what is asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publish {
    pub(crate) transport: usize,
    pub(crate) to: To,
    pub(crate) mandatory: bool,
    pub(crate) ensure_queue: bool,
    pub(crate) life: Life,
    pub(crate) too_late: bool,
    /// How many bytes the value of one header has, if it is a long one.
    pub(crate) header: Option<usize>,
    /// How many bytes the body has, if it is a long one.
    pub(crate) body: Option<usize>,
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum To {
    Topic {
        exchange: String,
        topic: String,
    },
    Server {
        exchange: String,
        topic: String,
        name: String,
    },
    Fanout {
        topic: String,
    },
    /// The inbox of a reader, by its place; nowhere if it was never open.
    Inbox {
        reader: usize,
    },
    Notification {
        exchange: String,
        topic: String,
        priority: String,
    },
    Queue {
        name: String,
        /// How long the name is, if it is made longer.
        bytes: Option<usize>,
    },
}

/// How long a message may lie in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Life {
    Endless,
    /// Longer than any program.
    Long,
    /// Shorter than a wait.
    Short,
}

impl Publish {
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

    /// To one of the servers of a topic.
    #[must_use]
    pub fn topic(exchange: &str, topic: &str) -> Self {
        Self::to(To::Topic { exchange: exchange.to_owned(), topic: topic.to_owned() })
    }

    /// To one server.
    #[must_use]
    pub fn server(exchange: &str, topic: &str, name: &str) -> Self {
        Self::to(To::Server { exchange: exchange.to_owned(), topic: topic.to_owned(), name: name.to_owned() })
    }

    /// To every server of a topic.
    #[must_use]
    pub fn fanout(topic: &str) -> Self {
        Self::to(To::Fanout { topic: topic.to_owned() })
    }

    /// To the inbox that a reader has or had last.
    #[must_use]
    pub fn inbox(reader: usize) -> Self {
        Self::to(To::Inbox { reader })
    }

    /// To those who listen to a topic and priority.
    #[must_use]
    pub fn notification(exchange: &str, topic: &str, priority: &str) -> Self {
        let (exchange, topic, priority) = (exchange.to_owned(), topic.to_owned(), priority.to_owned());
        Self::to(To::Notification { exchange, topic, priority })
    }

    /// To a queue of ours.
    #[must_use]
    pub fn queue(name: &str) -> Self {
        Self::to(To::Queue { name: name.to_owned(), bytes: None })
    }

    /// Makes the name of the queue so many bytes long.
    #[must_use]
    pub fn long_name(mut self, length: usize) -> Self {
        if let To::Queue { bytes, .. } = &mut self.to {
            *bytes = Some(length);
        }
        self
    }

    /// Uses another transport than the first.
    #[must_use]
    pub fn by(mut self, transport: usize) -> Self {
        self.transport = transport;
        self
    }

    /// Fails if no queue is bound.
    #[must_use]
    pub fn mandatory(mut self) -> Self {
        self.mandatory = true;
        self
    }

    /// Makes the queue of the notification first.
    #[must_use]
    pub fn ensure_queue(mut self) -> Self {
        self.ensure_queue = true;
        self
    }

    /// Expires, but not within the program.
    #[must_use]
    pub fn long_lived(mut self) -> Self {
        self.life = Life::Long;
        self
    }

    /// Expires within a wait.
    #[must_use]
    pub fn short_lived(mut self) -> Self {
        self.life = Life::Short;
        self
    }

    /// Is published with a deadline that has passed.
    #[must_use]
    pub fn too_late(mut self) -> Self {
        self.too_late = true;
        self
    }

    /// Has a header whose value is so many bytes long.
    #[must_use]
    pub fn header_of(mut self, bytes: usize) -> Self {
        self.header = Some(bytes);
        self
    }

    /// Has a body of so many bytes.
    #[must_use]
    pub fn body_of(mut self, bytes: usize) -> Self {
        self.body = Some(bytes);
        self
    }
}
