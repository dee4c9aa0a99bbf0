//! The events of a program of RPC, as actors and the player report them. Rules read nothing else.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Request;
use crate::programs::acts::history::{self, Begun};

/// What happened while a program was played. The position of an event is its time.
pub(crate) type History = history::History<Request, Event>;

/// A history while it is written, by several tasks at once.
pub(crate) type Log = history::Log<Request, Event>;

/// One event. Its position in the history is its place in the order that all actors agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A step is about to be done; its effects come later in the list.
    Begun(usize),
    /// A step has ended, after `took` on the clock of the harness.
    Ended { step: usize, outcome: Outcome, took: Duration },
    /// The connections are about to be cut by the step of that number.
    Cutting(usize),
    /// A method started, which counts as a run of its request.
    Ran(Run),
    /// A method returned or failed. One that was interrupted has no such event.
    Finished { server: usize, number: usize },
    /// Every request that must run has run, or the wait for that has timed out.
    Settled,
    /// The counter of dropped requests, after every server had ended.
    Dropped(u64),
}

/// One execution of a request, as its server reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The index of the server in the program.
    pub(crate) server: usize,
    /// The number of the request: that of the step which sent it.
    pub(crate) number: usize,
    /// The name of the method, which the request must have asked for.
    pub(crate) method: String,
    /// As the bus marked the message, right or wrong.
    pub(crate) redelivered: bool,
}

/// How a step ended. Only a call has more outcomes than `Done` and an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Success of anything but a call.
    Done,
    /// A call returned: the server and the request number in its answer.
    Returned { server: usize, number: usize },
    /// A call failed with a remote failure of this class and text.
    Raised { class: String, message: String },
    /// The bus returned the request, since no queue was bound.
    Undeliverable,
    /// No answer by the deadline; the method may have run.
    TimedOut,
    /// The sender dropped the request in flight; it may still run.
    GivenUp,
    /// The connection was lost. Without `perhaps_sent` the request must never run.
    Disconnected { perhaps_sent: bool },
    /// Any other error, in words. No rule allows it.
    Broken { error: String },
}

impl From<Begun> for Event {
    fn from(Begun(number): Begun) -> Self {
        Self::Begun(number)
    }
}
