//! A program of delivery: readers, and steps that are done one after the other.

use serde::{Deserialize, Serialize};

use super::Publish;

/// Readers, and what is done with them. Make one with the methods, or print one to get them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    pub(crate) readers: Vec<Reader>,
    pub(crate) steps: Vec<Step>,
}

/// A subscription that a program can open, by its place in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    pub(crate) transport: usize,
    pub(crate) reads: Reads,
    pub(crate) before_handover: bool,
    pub(crate) window: u16,
}

/// What a reader reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reads {
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
        queue: Shared,
    },
    Queue {
        name: String,
        /// How long the name is, if it is made longer.
        bytes: Option<usize>,
    },
}

/// Whose queue a reader of notifications reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shared {
    Everybodys,
    Pool(String),
    Own,
}

/// What becomes of a message in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is done with.
    Acknowledge,
    /// It is given back.
    Requeue,
    /// It is thrown away.
    Reject,
    /// It is let go of, which gives it back.
    Drop,
}

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    Open {
        reader: usize,
    },
    Publish {
        count: usize,
        publish: Publish,
    },
    Poll {
        reader: usize,
        max: usize,
    },
    /// A poll that is given up at once.
    Glance {
        reader: usize,
        max: usize,
    },
    /// Settles one of those that the reader holds, counted from the oldest and round.
    Settle {
        reader: usize,
        which: usize,
        verdict: Verdict,
    },
    Stop {
        reader: usize,
    },
    Close {
        reader: usize,
    },
    Forget {
        reader: usize,
    },
    /// Closes a transport under those who poll, and makes another in its place.
    HangUp {
        transport: usize,
    },
    /// Loses every connection, and waits until all are back.
    Cut,
    Wait,
}

impl Program {
    /// A program without readers and steps.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a reader.
    #[must_use]
    pub fn reader(mut self, reader: Reader) -> Self {
        self.readers.push(reader);
        self
    }

    /// Opens a reader.
    #[must_use]
    pub fn open(self, reader: usize) -> Self {
        self.step(Step::Open { reader })
    }

    /// Publishes `count` messages, one after the other.
    #[must_use]
    pub fn publish(self, count: usize, publish: Publish) -> Self {
        self.step(Step::Publish { count, publish })
    }

    /// Polls for a moment.
    #[must_use]
    pub fn poll(self, reader: usize, max: usize) -> Self {
        self.step(Step::Poll { reader, max })
    }

    /// Polls, and gives the poll up at once.
    #[must_use]
    pub fn glance(self, reader: usize, max: usize) -> Self {
        self.step(Step::Glance { reader, max })
    }

    /// Settles one of the messages that a reader holds, if it holds any: counted from the oldest, and round.
    #[must_use]
    pub fn settle(self, reader: usize, which: usize, verdict: Verdict) -> Self {
        self.step(Step::Settle { reader, which, verdict })
    }

    /// Stops a reader.
    #[must_use]
    pub fn stop(self, reader: usize) -> Self {
        self.step(Step::Stop { reader })
    }

    /// Closes a reader; what it held stays in hand.
    #[must_use]
    pub fn close(self, reader: usize) -> Self {
        self.step(Step::Close { reader })
    }

    /// Drops a reader and what it held.
    #[must_use]
    pub fn forget(self, reader: usize) -> Self {
        self.step(Step::Forget { reader })
    }

    /// Closes a transport while every reader of it polls, and makes another in its place. The readers end; what they held
    /// stays in hand.
    #[must_use]
    pub fn hang_up(self, transport: usize) -> Self {
        self.step(Step::HangUp { transport })
    }

    /// Loses every connection, and waits until all are back. The readers go on; what they held cannot be settled any more.
    /// Only on a harness that can [cut](crate::Disturbance::Cut).
    #[must_use]
    pub fn cut(self) -> Self {
        self.step(Step::Cut)
    }

    /// Waits until what is short-lived has expired.
    #[must_use]
    pub fn wait(self) -> Self {
        self.step(Step::Wait)
    }

    /// The highest number of a transport.
    pub(crate) fn transports(&self) -> usize {
        let published = self.steps.iter().map(|step| match step {
            Step::Publish { publish, .. } => publish.transport,
            Step::HangUp { transport } => *transport,
            _ => 0,
        });
        self.readers.iter().map(|reader| reader.transport).chain(published).max().unwrap_or(0)
    }

    pub(crate) fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

impl Reader {
    fn new(reads: Reads) -> Self {
        Self { transport: 0, reads, before_handover: false, window: 100 }
    }

    /// Reads the three queues of a server.
    #[must_use]
    pub fn server(exchange: &str, topic: &str, name: &str) -> Self {
        let (exchange, topic, name) = (exchange.to_owned(), topic.to_owned(), name.to_owned());
        Self::new(Reads::Server { exchange, topic, name })
    }

    /// Reads an inbox.
    #[must_use]
    pub fn inbox() -> Self {
        Self::new(Reads::Inbox)
    }

    /// Reads a queue of ours.
    #[must_use]
    pub fn queue(name: &str) -> Self {
        Self::new(Reads::Queue { name: name.to_owned(), bytes: None })
    }

    /// Makes the name of the queue so many bytes long.
    #[must_use]
    pub fn long_name(mut self, length: usize) -> Self {
        if let Reads::Queue { bytes, .. } = &mut self.reads {
            *bytes = Some(length);
        }
        self
    }

    /// Reads notifications by topic and priority.
    #[must_use]
    pub fn notifications(exchange: &str, events: &[(&str, &str)]) -> Self {
        let events = events.iter().map(|(topic, priority)| ((*topic).to_owned(), (*priority).to_owned())).collect();
        Self::new(Reads::Notifications { exchange: exchange.to_owned(), events, queue: Shared::Everybodys })
    }

    /// Reads notifications with the others of a pool.
    #[must_use]
    pub fn pool(self, pool: &str) -> Self {
        self.shared(Shared::Pool(pool.to_owned()))
    }

    /// Reads notifications from a private queue.
    #[must_use]
    pub fn private(self) -> Self {
        self.shared(Shared::Own)
    }

    fn shared(mut self, shared: Shared) -> Self {
        if let Reads::Notifications { queue, .. } = &mut self.reads {
            *queue = shared;
        }
        self
    }

    /// Uses another transport than the first.
    #[must_use]
    pub fn on(mut self, transport: usize) -> Self {
        self.transport = transport;
        self
    }

    /// Has its messages settled before they are handed over.
    #[must_use]
    pub fn before_handover(mut self) -> Self {
        self.before_handover = true;
        self
    }

    /// Holds so many at once. Default: 100.
    #[must_use]
    pub fn window(mut self, messages: u16) -> Self {
        self.window = messages;
        self
    }
}
