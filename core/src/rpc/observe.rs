//! The span and the metrics of a call, a cast or a request.
//!
//! The counters are incremented in the `Drop` of [`Meter`], so that an operation whose future is dropped is counted
//! too. The metric names and outcomes are listed in the documentation of the crate.

use metrics::{counter, histogram};
use tokio::time::Instant;
use tracing::{Span, info_span};

use crate::excerpt::Excerpt;
use crate::failure::{Nature, Refusal};
use crate::{Error, Failure, Payload, Result, Target};

/// The `messaging.system` of every span.
const SYSTEM: &str = "oslo";
/// The outcome of what succeeded. Dashboards match on it, so it never changes.
const OK: &str = "ok";
/// A call or cast whose future was dropped counts under this outcome.
const DROPPED: &str = "dropped";
/// A request whose method was aborted at the end of its server counts under this one.
const ABORTED: &str = "aborted";

/// Counts one operation when it ends, also when it is dropped on the way.
#[derive(Debug)]
pub(super) struct Meter {
    operation: Operation,
    started: Instant,
    /// The label; holds that of a dropped operation until the operation ends.
    outcome: &'static str,
}

/// What is counted, and timed unless it is a cast.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Call,
    Cast,
    Request,
}

/// The span `rpc.call` of a call; `id` is its `_msg_id`.
pub(super) fn call(target: &Target, method: &str, id: impl std::fmt::Display) -> Span {
    let destination = target.topic.as_deref().unwrap_or_default();
    info_span!("rpc.call", messaging.system = SYSTEM, messaging.destination = destination,
        messaging.message_id = %id, rpc.method = %Excerpt(method))
}

/// The span `rpc.cast` of a cast; `id` is its `_unique_id`.
pub(super) fn cast(target: &Target, method: &str, id: &str) -> Span {
    let destination = target.topic.as_deref().unwrap_or_default();
    info_span!(
        "rpc.cast",
        messaging.system = SYSTEM,
        messaging.destination = destination,
        messaging.message_id = id,
        rpc.method = %Excerpt(method)
    )
}

/// The span of a request to a server of `topic`; `id` is the one that its sender's span has.
///
/// So the spans of a caller and its server can be joined by `messaging.message_id`.
pub(super) fn request(topic: &str, method: &str, id: &str) -> Span {
    info_span!(
        "rpc.handle",
        messaging.system = SYSTEM,
        messaging.destination = topic,
        messaging.message_id = %Excerpt(id),
        rpc.method = %Excerpt(method)
    )
}

impl Meter {
    /// The meter of a call that begins. Counts `dropped` if it is dropped without `ended`.
    pub(super) fn of_call() -> Self {
        Self::start(Operation::Call, DROPPED)
    }

    /// The meter of a cast that begins. Counts `dropped` if it is dropped without `ended`.
    pub(super) fn of_cast() -> Self {
        Self::start(Operation::Cast, DROPPED)
    }

    /// The meter of a request that begins to run or is refused.
    ///
    /// Counts `aborted` if it is dropped without `answered`.
    pub(super) fn of_request() -> Self {
        Self::start(Operation::Request, ABORTED)
    }

    /// Ends the call or cast with its result, which is returned. An error counts under the label of its kind.
    pub(super) fn ended<T>(mut self, result: Result<T>) -> Result<T> {
        self.outcome = result.as_ref().map_or_else(|error: &Error| error.kind().label(), |_| OK);
        result
    }

    /// Ends the request with what it is answered.
    ///
    /// Takes the meter, whose drop records the time: sending the reply is not part of it.
    pub(super) fn answered(mut self, refused: bool, outcome: &Result<Payload, Failure>) {
        self.outcome = match outcome {
            _ if refused => "refused",
            Ok(_) => OK,
            Err(failure) => match failure.nature() {
                Nature::Expected => "expected_failure",
                Nature::Unexpected => "failure",
                Nature::Refused(Refusal::Namespace) => "unknown_namespace",
                Nature::Refused(Refusal::Version) => "unsupported_version",
                Nature::Refused(Refusal::Method) => "unknown_method",
                Nature::Refused(Refusal::Arguments) => "bad_arguments",
            },
        };
    }

    /// Starts to measure; `unless_it_ends` is the outcome if the future is dropped.
    fn start(operation: Operation, unless_it_ends: &'static str) -> Self {
        Self { operation, started: Instant::now(), outcome: unless_it_ends }
    }
}

impl Operation {
    /// The counter, which has one label `outcome`.
    fn total(self) -> &'static str {
        match self {
            Self::Call => "oslo_messaging_calls_total",
            Self::Cast => "oslo_messaging_casts_total",
            Self::Request => "oslo_messaging_requests_total",
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        // Of literals the key is a constant; of variables it is allocated and hashed each time.
        // So the outcome of nearly all is written out.
        let total = match (self.operation, self.outcome) {
            (Operation::Call, OK) => counter!("oslo_messaging_calls_total", "outcome" => "ok"),
            (Operation::Cast, OK) => counter!("oslo_messaging_casts_total", "outcome" => "ok"),
            (Operation::Request, OK) => counter!("oslo_messaging_requests_total", "outcome" => "ok"),
            (operation, outcome) => counter!(operation.total(), "outcome" => outcome),
        };
        total.increment(1);
        match self.operation {
            Operation::Call => histogram!("oslo_messaging_call_seconds").record(self.started.elapsed()),
            Operation::Request => histogram!("oslo_messaging_request_seconds").record(self.started.elapsed()),
            Operation::Cast => {}
        }
    }
}
