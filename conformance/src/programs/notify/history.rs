//! The events of a program of notifications, as handlers and the player report them. Rules read nothing else.

use serde::Serialize;
use tokio::time::Instant;

use super::Event;
use crate::programs::acts::history::{self, Begun};

/// What happened while a program was played, and when.
pub(crate) type History = history::History<Event, (Instant, Happened)>;

/// A history while it is written, by several tasks at once.
pub(crate) type Log = history::Log<Event, (Instant, Happened)>;

/// One event. Its position in the history is its place in the order that all actors agree on.
#[derive(Debug, Clone)]
pub(crate) enum Happened {
    /// A step is about to be done; its effects come later in the list.
    Begun(usize),
    /// A step has ended; `Err` holds the text of its error.
    Ended { step: usize, outcome: Result<(), String> },
    /// The connections are about to be cut by the step of that number.
    Cutting(usize),
    /// A handler was polled for the first time.
    Ran { listener: usize, heard: Vec<Heard> },
    /// The handler that started at the position `run` has returned.
    Answered { run: usize, answer: Answer },
    /// The counters, after every listener had ended.
    Counted(Counted),
    /// A message that was in a queue after that.
    Found(Letter),
}

/// An event as a handler, or a look into a queue, received it.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// Its number; `None` if the payload has none.
    pub(crate) number: Option<usize>,
    /// The number of the try, from 1; 0 for a message that no handler got.
    pub(crate) attempt: u32,
    /// As the broker marked it, right or wrong; `false` for a message that no handler got.
    pub(crate) redelivered: bool,
    /// Every copy of an event has the same id.
    pub(crate) message_id: String,
    /// How it differs from the event that was sent, if it does.
    pub(crate) wrong: Option<String>,
}

/// What a handler returned, which decides whether the event comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Ends the event for all readers of its queue.
    Handled,
    /// Returns the event to its queue, from which any reader may get it.
    Requeued,
    /// Leads to another try, or to the end that the listener's policy has for the event.
    Failed,
}

/// A message that was in a queue at the end.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    /// The name of the queue in the program, not on the bus.
    pub(crate) queue: String,
    /// `Some` if it is a dead letter.
    pub(crate) dead: Option<Dead>,
    pub(crate) heard: Heard,
}

/// What the headers of a dead letter say of it.
#[derive(Debug, Clone)]
pub(crate) struct Dead {
    /// How often its handler tried it; at the delivery limit, how many deliveries failed.
    pub(crate) tries: u32,
    /// Whether it reached the delivery limit of its queue.
    pub(crate) at_limit: bool,
    /// How its information is wrong, if it is.
    pub(crate) wrong: Option<String>,
}

/// The counters of all listeners together: `oslo_messaging_notifications_total` by outcome.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    /// Outcome `handled`; a copy that a cut doubled may count twice.
    pub(crate) handled: u64,
    /// Outcome `dead_letter`: given up, and published to the dead-letter queue.
    pub(crate) dead: u64,
    /// Outcome `dropped`: given up without a dead letter.
    pub(crate) dropped: u64,
}

impl From<Happened> for (Instant, Happened) {
    fn from(happened: Happened) -> Self {
        (Instant::now(), happened)
    }
}

impl From<Begun> for (Instant, Happened) {
    fn from(Begun(number): Begun) -> Self {
        Happened::Begun(number).into()
    }
}
