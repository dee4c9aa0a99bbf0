//! Decides what becomes of a message that a server was handed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tracing::{debug, warn};

use super::failures::failed;
use super::monitor::Pulse;
use super::request::Request;
use crate::clock::{PeerDeadline, WallClock};
use crate::context::RequestInfo;
use crate::delivery::{Deliveries, Delivery, Seen, settled};
use crate::panic::text;
use crate::wire;
use crate::{Context, Deadline, Error, ErrorKind, Failure, IncomingMessage, Payload, Result, Serializer, Settle};

use super::arguments;

/// A caller whose deadline passed longer ago than this does not wait any more, allowing for clocks that differ.
const STALE: Duration = Duration::from_secs(5);
/// The least time between two heartbeats, so that a caller cannot ask for a flood.
const SHORTEST_HEARTBEAT: Duration = Duration::from_millis(500);
/// The longest: a caller that waits for longer is heard of all the same.
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(3_600);

/// What a server does with a request that the broker marks as handed over before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Redelivered {
    Run,
    Refuse,
}

/// Where the answer to a call goes.
#[derive(Debug, Clone)]
pub(super) struct ReplyTo {
    pub(super) msg_id: String,
    pub(super) queue: String,
    /// When the caller has given up, even by a clock that differs from ours, if it said so.
    pub(super) deadline: Option<Deadline>,
}

/// A request that is to run, or to be refused with an answer.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) request: Request,
    pub(super) reply_to: Option<ReplyTo>,
    /// How the caller wants to hear that its method has not been forgotten.
    pub(super) pulse: Option<Pulse>,
    /// When its caller has given up, even by a clock that differs from ours.
    stale_from: Option<Deadline>,
    pub(super) refused: bool,
    pub(super) delivery: Delivery,
}

#[derive(Debug)]
pub(super) struct Admission {
    clock: WallClock,
    serializer: Option<Arc<dyn Serializer>>,
    redelivered: Redelivered,
    deliveries: Deliveries,
}

impl Admission {
    pub(super) fn new(
        clock: WallClock,
        serializer: Option<Arc<dyn Serializer>>,
        redelivered: Redelivered,
        settle: Settle,
    ) -> Self {
        Self { clock, serializer, redelivered, deliveries: Deliveries::new(settle) }
    }

    /// The request in `message`; `None` if it is unreadable, stale or a duplicate, which settles it here.
    pub(super) async fn admit(&self, message: Box<dyn IncomingMessage>) -> Option<Accepted> {
        let request = match wire::Request::decode(message.message()) {
            Ok(request) => request,
            Err(error) => {
                counter!("oslo_messaging_undecodable_total").increment(1);
                warn!(%error, queue = ?message.message().queue, "a request that cannot be read is dropped");
                settled(message.reject().await);
                return None;
            }
        };
        let deadline = request.deadline.and_then(|unix_ms| self.clock.read(unix_ms));
        if matches!(deadline, Some(PeerDeadline::PassedSince(passed)) if passed > STALE) {
            skipped(&request.method);
            settled(message.acknowledge().await);
            return None;
        }
        let delivery = match self.deliveries.see(request.unique_id.clone(), message) {
            Seen::First(delivery) => delivery,
            Seen::Finished(message) => {
                counter!("oslo_messaging_requests_duplicate_total").increment(1);
                settled(message.acknowledge().await);
                return None;
            }
            Seen::Running => {
                counter!("oslo_messaging_requests_duplicate_total").increment(1);
                return None;
            }
        };
        Some(self.accept(request, delivery, deadline))
    }

    fn accept(&self, request: wire::Request, delivery: Delivery, deadline: Option<PeerDeadline>) -> Accepted {
        let redelivered = delivery.redelivered();
        if redelivered {
            counter!("oslo_messaging_requests_redelivered_total").increment(1);
        }
        let (deadline, stale_from) = match deadline {
            Some(PeerDeadline::Ahead(deadline)) => (Some(deadline), Some(Deadline::at(deadline.instant() + STALE))),
            Some(PeerDeadline::PassedSince(passed)) => {
                // It is within what clocks may differ, so the caller may still wait.
                let deadline = Deadline::after(STALE.saturating_sub(passed));
                (Some(deadline), Some(deadline))
            }
            None => (None, None),
        };
        let info = RequestInfo { unique_id: request.unique_id, redelivered, is_call: request.call.is_some() };
        let pulse = request.call.as_ref().and_then(|call| heartbeat_interval(call.monitor?)).map(Pulse::every);
        let reply_to =
            request.call.map(|call| ReplyTo { msg_id: call.msg_id, queue: call.reply_q, deadline: stale_from });
        let context = Context::received(request.context, deadline, Some(info));
        let request = Request::new(context, request.method, request.args)
            .with_namespace(request.namespace)
            .with_version(request.version);
        let refused = redelivered && self.redelivered == Redelivered::Refuse;
        Accepted { request, reply_to, pulse, stale_from, refused, delivery }
    }

    /// Translates what arrived, if the application has a serializer; first the context, which says how to read the
    /// arguments (oslo.messaging `rpc/dispatcher.py`, `_do_dispatch`). A panic of the serializer is this request's alone.
    pub(super) fn translate(&self, mut request: Request) -> Result<Request, Failure> {
        let Some(serializer) = &self.serializer else { return Ok(request) };
        let translated = catch_unwind(AssertUnwindSafe(|| {
            request.context = request.context.replaced(&serializer.deserialize_context(&request.context)?);
            request.args = arguments::map(&request.args, |value| serializer.deserialize(&request.context, value))?;
            Ok(request)
        }));
        let panicked =
            |panic: Box<dyn Any + Send>| Err(Error::new(ErrorKind::Decode, "translate").with("panic", text(&*panic)));
        translated.unwrap_or_else(panicked).map_err(failed)
    }

    /// Translates the result of a request whose translated context is `context`.
    pub(super) fn translate_back(&self, context: &Context, result: Payload) -> Result<Payload> {
        match &self.serializer {
            Some(serializer) => serializer.serialize(context, result),
            None => Ok(result),
        }
    }
}

impl Accepted {
    /// Whether its caller gave up while it waited to start; that is counted as it is at admission.
    pub(super) fn has_become_stale(&self) -> bool {
        let stale = self.stale_from.is_some_and(Deadline::has_passed);
        if stale {
            skipped(&self.request.method);
        }
        stale
    }
}

/// Half of what the caller waits for a sign of life (oslo.messaging `rpc/dispatcher.py`, `_watchdog`).
fn heartbeat_interval(monitor_secs: f64) -> Option<Duration> {
    let monitor = Duration::try_from_secs_f64(monitor_secs).ok().filter(|monitor| !monitor.is_zero())?;
    Some((monitor / 2).clamp(SHORTEST_HEARTBEAT, LONGEST_HEARTBEAT))
}

fn skipped(method: &str) {
    counter!("oslo_messaging_requests_stale_total").increment(1);
    debug!(method, "a request was skipped: its caller gave up long ago");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_caller_can_ask_for_a_flood_of_heartbeats() {
        assert_eq!(heartbeat_interval(4.0), Some(Duration::from_secs(2)));
        assert_eq!(heartbeat_interval(1e-9), Some(SHORTEST_HEARTBEAT));
        assert_eq!(heartbeat_interval(1.8e19), Some(LONGEST_HEARTBEAT));
        for nonsense in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(heartbeat_interval(nonsense), None, "{nonsense}");
        }
    }
}
