//! A program of delivery: readers, and steps that run one after the other.

use serde::{Deserialize, Serialize};

use super::Publish;
use crate::programs::acts::setters;
use crate::programs::json::display_as_json;

/// A program as JSON holds it. Every field that is left out is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Program {
    /// None is open at the begin.
    #[serde(default)]
    pub(crate) readers: Vec<Reader>,
    #[serde(default)]
    pub(crate) steps: Vec<Step>,
}

/// A subscription that a program can open. Steps name it by its index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reader {
    /// The index of its transport; readers of one transport share a connection.
    pub(crate) transport: usize,
    pub(crate) reads: Reads,
    /// Whether the driver settles its messages before a poll returns them.
    #[serde(default)]
    pub(crate) before_handover: bool,
    /// The most unsettled messages for each queue. Default: 100.
    pub(crate) window: u16,
}

/// What a reader reads, by names that are made unique when the program is played.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reads {
    /// The queue of a topic, the server's own queue, and its private share of the fanout.
    Server {
        exchange: String,
        topic: String,
        name: String,
    },
    Inbox,
    /// Topics and priorities of one exchange.
    Notifications {
        exchange: String,
        events: Vec<(String, String)>,
        queue: NotificationQueue,
    },
    /// A durable queue, past every exchange.
    Queue {
        name: String,
        /// The length in bytes to which the name is padded.
        bytes: Option<usize>,
    },
}

/// Decides which readers share a copy of each notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NotificationQueue {
    /// The queue of each topic and priority, which all listeners without a pool share.
    Shared,
    /// One queue for all addresses of the reader, shared by the members of the pool.
    Pool(String),
    /// A queue of its own, which is deleted with the reader: a tap.
    Private,
}

/// How a reader settles a message, or that it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Settlement {
    /// Ends the delivery: the message must not come again.
    Acknowledge,
    /// Returns it to its queue, from which it must come again, marked as redelivered.
    Requeue,
    /// Discards it: the message must not come again.
    Reject,
    /// Drops it unsettled, which returns it to its queue.
    Drop,
}

/// One step. Steps are played one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    Open {
        reader: usize,
    },
    /// Each of the `count` messages gets a number of its own.
    Publish {
        count: usize,
        publish: Publish,
    },
    /// Waits a tenth of `Budget::quiet` for a message.
    Poll {
        reader: usize,
        max: usize,
    },
    /// A poll that is cancelled after a millisecond.
    Glance {
        reader: usize,
        max: usize,
    },
    /// Settles one of the reader's unsettled messages: number `which`, from the oldest, modulo their count.
    Settle {
        reader: usize,
        which: usize,
        settlement: Settlement,
    },
    /// The reader can still be polled and closed, but not opened again before it is closed.
    Stop {
        reader: usize,
    },
    /// Its unsettled messages stay in hand, so that later steps can try to settle them.
    Close {
        reader: usize,
    },
    /// Drops the reader without a close, after the messages that it holds.
    Forget {
        reader: usize,
    },
    /// Closes a transport while its readers poll, and opens another in its place.
    HangUp {
        transport: usize,
    },
    /// Cuts every connection, and waits until all are restored.
    Cut,
    /// Waits for `Budget::quiet`, which is longer than the life of a short-lived message.
    Wait,
}

display_as_json!(Program);

impl Program {
    /// The highest index of a transport that a reader or a step names; 0 if there is none.
    pub(crate) fn transports(&self) -> usize {
        let published = self.steps.iter().map(|step| match step {
            Step::Publish { publish, .. } => publish.transport,
            Step::HangUp { transport } => *transport,
            _ => 0,
        });
        self.readers.iter().map(|reader| reader.transport).chain(published).max().unwrap_or(0)
    }
}

impl Reader {
    fn new(reads: Reads) -> Self {
        Self { transport: 0, reads, before_handover: false, window: 100 }
    }

    /// Reads the three queues of a server.
    pub(crate) fn server(exchange: &str, topic: &str, name: &str) -> Self {
        let (exchange, topic, name) = (exchange.to_owned(), topic.to_owned(), name.to_owned());
        Self::new(Reads::Server { exchange, topic, name })
    }

    /// Reads a private queue, which has another name each time the reader opens.
    pub(crate) fn inbox() -> Self {
        Self::new(Reads::Inbox)
    }

    /// Reads a durable queue that no exchange feeds.
    pub(crate) fn queue(name: &str) -> Self {
        Self::new(Reads::Queue { name: name.to_owned(), bytes: None })
    }

    /// Pads the name to `length` bytes; has no effect on readers of anything but a queue by name.
    pub(crate) fn long_name(mut self, length: usize) -> Self {
        if let Reads::Queue { bytes, .. } = &mut self.reads {
            *bytes = Some(length);
        }
        self
    }

    /// Reads the shared queue of each topic and priority in `events`.
    pub(crate) fn notifications(exchange: &str, events: &[(&str, &str)]) -> Self {
        let events = events.iter().map(|(topic, priority)| ((*topic).to_owned(), (*priority).to_owned())).collect();
        Self::new(Reads::Notifications { exchange: exchange.to_owned(), events, queue: NotificationQueue::Shared })
    }

    /// Reads one queue for all events, which it shares with the other readers of `pool`.
    pub(crate) fn pool(self, pool: &str) -> Self {
        self.shared(NotificationQueue::Pool(pool.to_owned()))
    }

    /// Reads its events as a tap: from a queue that is deleted with the reader.
    pub(crate) fn private(self) -> Self {
        self.shared(NotificationQueue::Private)
    }

    /// Has no effect on readers of anything but notifications.
    fn shared(mut self, shared: NotificationQueue) -> Self {
        if let Reads::Notifications { queue, .. } = &mut self.reads {
            *queue = shared;
        }
        self
    }
}

setters!(Reader {
    on(transport: usize) => transport = transport;
    before_handover() => before_handover = true;
    window(messages: u16) => window = messages;
});

/// Builders, with which tests write programs: one for each step.
#[cfg(test)]
impl Program {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn reader(mut self, reader: Reader) -> Self {
        self.readers.push(reader);
        self
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    pub(crate) fn open(self, reader: usize) -> Self {
        self.step(Step::Open { reader })
    }

    pub(crate) fn publish(self, count: usize, publish: Publish) -> Self {
        self.step(Step::Publish { count, publish })
    }

    pub(crate) fn poll(self, reader: usize, max: usize) -> Self {
        self.step(Step::Poll { reader, max })
    }

    pub(crate) fn glance(self, reader: usize, max: usize) -> Self {
        self.step(Step::Glance { reader, max })
    }

    pub(crate) fn settle(self, reader: usize, which: usize, settlement: Settlement) -> Self {
        self.step(Step::Settle { reader, which, settlement })
    }

    pub(crate) fn stop(self, reader: usize) -> Self {
        self.step(Step::Stop { reader })
    }

    pub(crate) fn close(self, reader: usize) -> Self {
        self.step(Step::Close { reader })
    }

    pub(crate) fn forget(self, reader: usize) -> Self {
        self.step(Step::Forget { reader })
    }

    pub(crate) fn hang_up(self, transport: usize) -> Self {
        self.step(Step::HangUp { transport })
    }

    pub(crate) fn cut(self) -> Self {
        self.step(Step::Cut)
    }

    pub(crate) fn wait(self) -> Self {
        self.step(Step::Wait)
    }
}
