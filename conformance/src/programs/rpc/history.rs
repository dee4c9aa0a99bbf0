//! The events of a program of RPC.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Request;
use crate::programs::acts::history::{self, Begun};

/// What happened while a program was played.
pub(crate) type History = history::History<Request, Event>;

/// A history while it is written.
pub(crate) type Log = history::Log<Request, Event>;

/// Something that happened. What is later in the list did not happen before what is earlier in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A step is about to be done.
    Begun(usize),
    /// A step was done.
    Ended { step: usize, outcome: Outcome, took: Duration },
    /// The cut of that number is about to happen.
    Cutting(usize),
    /// A method was polled for the first time.
    Ran(Run),
    /// A method ended.
    Finished { server: usize, number: usize },
    /// Everything had run that must run, or the wait for it was in vain.
    Settled,
    /// When all had ended, servers had counted so many requests that they dropped.
    Dropped(u64),
}

/// One execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The server, by its place in the program.
    pub(crate) server: usize,
    /// The message.
    pub(crate) number: usize,
    /// The method that ran.
    pub(crate) method: String,
    /// Whether the broker said that it handed the message over before.
    pub(crate) redelivered: bool,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// A server started or stopped, or a message was sent.
    Done,
    /// A call was answered: by which server, and which message it says that it answers.
    Returned { server: usize, number: usize },
    /// A call was answered with a failure of this class and text.
    Raised { class: String, message: String },
    /// Nobody is bound.
    Undeliverable,
    /// There was no answer in time.
    TimedOut,
    /// The sender did not wait for the end.
    GivenUp,
    /// The connection was lost under it.
    Disconnected { perhaps_sent: bool },
    /// Anything else.
    Broken { error: String },
}

impl From<Begun> for Event {
    fn from(Begun(number): Begun) -> Self {
        Self::Begun(number)
    }
}
