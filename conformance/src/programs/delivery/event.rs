//! The events of a program of delivery: operations and their results, without the bus.

use super::program::Settlement;
use super::publish::Publish;

/// The result of an operation: success, or the kind of the error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Right only for a mandatory publish without a bound queue.
    Undeliverable,
    /// Right only for a publish whose deadline had passed before.
    TimedOut,
    /// Right only after the listener or its transport was closed.
    Closed,
    /// Right only where the driver does not declare the capability that the operation needs.
    Unsupported,
    /// Right only for a name of more than 255 bytes.
    TooLarge,
    /// Right only for a message that was in hand when its connection was lost or closed.
    /// The close of a listener that was stopped before a cut may end in the same way.
    Disconnected,
    /// No rule expects it. Holds the text of the error for the report.
    Other(String),
}

/// A message that a poll returned, after the comparison with the one that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Got {
    /// Its number, if its body begins with a known one.
    pub(crate) number: Option<usize>,
    /// As the driver marked it, right or wrong.
    pub(crate) redelivered: bool,
    /// Whether id, headers and body are as they were sent.
    pub(crate) intact: bool,
    /// Identifies it until it is settled.
    pub(crate) token: usize,
}

/// What a poll gave: messages, nothing, the end, or an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Polled {
    /// In the order in which the driver returned them.
    Messages(Vec<Got>),
    /// It was cancelled without messages.
    Nothing,
    /// The listener was stopped and is drained.
    End,
    /// The listener failed, with this kind of error.
    Failed(Outcome),
}

/// One operation and its result, as the driver reported it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A subscription ended; the reader is open only if the outcome is `Done`.
    Opened {
        reader: usize,
        outcome: Outcome,
    },
    /// A copy enters a queue of the model only if the outcome is `Done`.
    Published {
        number: usize,
        publish: Publish,
        outcome: Outcome,
    },
    /// A poll ended or was cancelled; more than `max` messages break a rule.
    Polled {
        reader: usize,
        max: usize,
        polled: Polled,
    },
    /// Also a drop, whose outcome is always `Done`.
    Settled {
        token: usize,
        settlement: Settlement,
        outcome: Outcome,
    },
    /// The listener may still return what it has.
    Stopped {
        reader: usize,
        outcome: Outcome,
    },
    Closed {
        reader: usize,
        outcome: Outcome,
    },
    /// The listener was dropped, after its unsettled messages.
    Forgotten {
        reader: usize,
    },
    /// The transport of the reader was closed during a poll with this result.
    HungUp {
        reader: usize,
        polled: Polled,
    },
    /// Every connection was cut. The outcome is whether all of them were restored.
    Cut {
        outcome: Result<(), String>,
    },
    /// `Budget::quiet` has passed: settlements have arrived, and short-lived messages have expired.
    Waited,
}
