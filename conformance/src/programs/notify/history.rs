//! The events of a program of notifications.

use tokio::time::Instant;

use super::Event;
use crate::programs::acts::history::{self, Begun};

/// What happened while a program was played, and when.
pub(crate) type History = history::History<Event, (Instant, Happened)>;

/// A history while it is written.
pub(crate) type Log = history::Log<Event, (Instant, Happened)>;

/// Something that happened. What is later in the list did not happen before what is earlier in it.
#[derive(Debug, Clone)]
pub(crate) enum Happened {
    /// A step is about to be done.
    Begun(usize),
    /// A step was done, or why not.
    Ended { step: usize, outcome: Result<(), String> },
    /// The cut of that number is about to happen.
    Cutting(usize),
    /// A handler was polled for the first time.
    Ran { listener: usize, heard: Vec<Heard> },
    /// The handler ended that is at the place `run` in the list.
    Answered { run: usize, answer: Answer },
    /// When all had ended, the listeners had counted this.
    Counted(Counted),
    /// Then this lay in a queue.
    Found(Letter),
}

/// An event as somebody has it.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// Its number; `None` if it has none.
    pub(crate) number: Option<usize>,
    pub(crate) attempt: u32,
    pub(crate) redelivered: bool,
    pub(crate) message_id: String,
    /// What is not as it was told.
    pub(crate) wrong: Option<String>,
}

/// What a handler made of its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Handled,
    Requeued,
    Failed,
}

/// What lay in a queue at the end.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    /// The queue by its name in the program.
    pub(crate) queue: String,
    /// If it was a dead letter: what it says of itself.
    pub(crate) dead: Option<Dead>,
    pub(crate) heard: Heard,
}

/// What a dead letter says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Dead {
    /// How often its handler tried it, or, of one at the limit of its queue, how many deliveries failed.
    pub(crate) tries: u32,
    /// Whether it reached the delivery limit of its queue.
    pub(crate) at_limit: bool,
    /// What is wrong.
    pub(crate) wrong: Option<String>,
}

/// What all listeners together have counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    pub(crate) handled: u64,
    pub(crate) dead: u64,
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
