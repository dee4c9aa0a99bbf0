//! The span and the metrics of a call, a cast or a request.
//!
//! The counters are incremented in the `Drop` of [`Meter`], so that an operation whose future is dropped is counted
//! too. The metric names and outcomes are listed in the documentation of the crate.

use std::future::Future;

use metrics::{counter, histogram};
use tokio::time::Instant;
use tracing::{Instrument, Span, info_span};

use crate::excerpt::Excerpt;
use crate::failure::{Nature, Refusal};
use crate::{Error, Failure, Payload, Result, Target};

/// The `messaging.system` of every span.
const SYSTEM: &str = "oslo";
/// What a dropped future of a client leaves in the counts, and what one of a server does.
/// A call or cast whose future was dropped counts under this outcome.
const DROPPED: &str = "dropped";
/// A request whose method was aborted at the end of its server counts under this one.
const ABORTED: &str = "aborted";

/// Counts one operation when it ends, also when it is dropped on the way.
#[derive(Debug)]
pub(super) struct Meter {
    /// The counter, which has one label `outcome`.
    total: &'static str,
    /// The histogram of durations; casts have none.
    seconds: Option<&'static str>,
    started: Instant,
    /// The label; holds that of a dropped operation until the operation ends.
    outcome: &'static str,
}

/// Does the work of a call; `id` is its `_msg_id`.
///
/// The span `rpc.call` covers the whole call, with the decoding of the result if that is part of `work`.
pub(super) async fn call<T>(
    target: &Target,
    method: &str,
    id: impl std::fmt::Display,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let destination = target.topic.as_deref().unwrap_or_default();
    let span = info_span!("rpc.call", messaging.system = SYSTEM, messaging.destination = destination,
        messaging.message_id = %id, rpc.method = %Excerpt(method));
    let meter = Meter::start("oslo_messaging_calls_total", Some("oslo_messaging_call_seconds"), DROPPED);
    meter.watch(work.instrument(span)).await
}

/// Does the work of a cast; `id` is its `_unique_id`.
///
/// The span is `rpc.cast`. Casts are counted and not timed.
pub(super) async fn cast(
    target: &Target,
    method: &str,
    id: &str,
    work: impl Future<Output = Result<()>>,
) -> Result<()> {
    let destination = target.topic.as_deref().unwrap_or_default();
    let span = info_span!(
        "rpc.cast",
        messaging.system = SYSTEM,
        messaging.destination = destination,
        messaging.message_id = id,
        rpc.method = %Excerpt(method)
    );
    Meter::start("oslo_messaging_casts_total", None, DROPPED).watch(work.instrument(span)).await
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
    /// The meter of a request that begins to run or is refused.
    ///
    /// Counts `aborted` if it is dropped without `answered`.
    pub(super) fn of_request() -> Self {
        Self::start("oslo_messaging_requests_total", Some("oslo_messaging_request_seconds"), ABORTED)
    }

    /// Ends the request with what it is answered.
    ///
    /// Takes the meter, whose drop records the time: sending the reply is not part of it.
    pub(super) fn answered(mut self, refused: bool, outcome: &Result<Payload, Failure>) {
        self.outcome = match outcome {
            _ if refused => "refused",
            Ok(_) => "ok",
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
    fn start(total: &'static str, seconds: Option<&'static str>, unless_it_ends: &'static str) -> Self {
        Self { total, seconds, started: Instant::now(), outcome: unless_it_ends }
    }

    /// Awaits `work` and takes its outcome from the result.
    ///
    /// An error counts under the label of its kind.
    async fn watch<T>(mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let ended = work.await;
        self.outcome = ended.as_ref().map_or_else(|error: &Error| error.kind().label(), |_| "ok");
        ended
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        counter!(self.total, "outcome" => self.outcome).increment(1);
        if let Some(seconds) = self.seconds {
            histogram!(seconds).record(self.started.elapsed());
        }
    }
}
