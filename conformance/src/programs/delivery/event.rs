//! What was done and what came of it, in terms that need no bus.

use super::program::Settlement;
use super::publish::Publish;

/// How something ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Undeliverable,
    TimedOut,
    Closed,
    Unsupported,
    TooLarge,
    Disconnected,
    Other(String),
}

/// A message as it was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Got {
    /// Which message it is, if that can be told.
    pub(crate) number: Option<usize>,
    pub(crate) redelivered: bool,
    /// Whether all of it is as it was sent.
    pub(crate) intact: bool,
    /// What it is called while it is in hand.
    pub(crate) token: usize,
}

/// What a poll gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Polled {
    Messages(Vec<Got>),
    /// Nothing, until it was given up.
    Nothing,
    /// The listener was stopped and is drained.
    End,
    Failed(Outcome),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Opened {
        reader: usize,
        outcome: Outcome,
    },
    Published {
        number: usize,
        publish: Publish,
        outcome: Outcome,
    },
    Polled {
        reader: usize,
        max: usize,
        polled: Polled,
    },
    Settled {
        token: usize,
        settlement: Settlement,
        outcome: Outcome,
    },
    Stopped {
        reader: usize,
        outcome: Outcome,
    },
    Closed {
        reader: usize,
        outcome: Outcome,
    },
    Forgotten {
        reader: usize,
    },
    /// The transport of the reader was closed, and this is the last that a poll gave.
    HungUp {
        reader: usize,
        polled: Polled,
    },
    /// Every connection was lost and is back, or there is an error.
    Cut {
        outcome: Result<(), String>,
    },
    Waited,
}
