//! Decides about each message that a server receives: run, refuse, set aside or skip.
//!
//! The checks in this order: the message decodes, its deadline has not passed, it is not a repeated delivery, and its
//! queue permits another failure. What is skipped is settled here.
//! `runner.rs` answers the calls among it, and sets aside what may not fail once more.

use std::time::Duration;

use metrics::counter;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::expiry::{Arrival, CallerTime, Expiry, STALE, judge};
use crate::bus::wall_clock::WallClock;
use crate::context::RequestInfo;
use crate::decoding::Decoded;
use crate::delivery::message_key::MessageKey;
use crate::delivery::{Deliveries, Delivery, DuplicateCheck, settled};
use crate::driver::Settle;
use crate::excerpt::Excerpt;
use crate::rpc::dispatch::request::Request;
use crate::rpc::rate_limit::RateLimit;
use crate::rpc::reply::heartbeat::HeartbeatTimer;
use crate::rpc::reply::reply_to::ReplyTo;
use crate::{Context, Deadline, wire};

/// The least time between two heartbeats, so that a caller cannot ask for a flood.
const SHORTEST_HEARTBEAT: Duration = Duration::from_millis(500);
/// The longest time between two heartbeats: a caller that waits for longer gets one an hour all the same.
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(3_600);

/// What a server does with a request that the broker marks as redelivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redelivered {
    /// The method runs a second time. What it does must then be repeatable.
    Run,
    /// The method does not run; the caller gets a failure that says so.
    Refuse,
}

/// A request that will run, or be refused with an answer.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// The method, its arguments and its context, before the serializer of the application.
    pub(crate) request: Request,
    /// Where the answer goes; `None` for a cast.
    pub(crate) reply_to: Option<ReplyTo>,
    /// The heartbeats that the caller asked for.
    /// `None` for a cast and for a call that is not monitored.
    pub(crate) heartbeat: Option<HeartbeatTimer>,
    /// When the caller gives up, by its own clock or counted from the arrival of the call.
    time: CallerTime,
    /// Whether it had to wait for a handler.
    /// Set by the intake. Only a request that waited can be refused for a time that is counted from its arrival.
    pub(crate) waited: bool,
    /// Whether it is answered without running, since it was redelivered and the server refuses such requests.
    pub(crate) refused: bool,
    /// Whether it was delivered before and may have ended its server: it runs beside no other such request.
    pub(crate) suspect: bool,
    /// Still to be settled if the receiver settles; otherwise acknowledged before it came here.
    pub(crate) delivery: Delivery,
}

/// What becomes of a message. Only `Run` and `SetAside` leave it unsettled.
pub(crate) enum Admitted {
    /// It runs when a handler is free; or is only answered then, see `Accepted::refused`.
    Run(Box<Accepted>),
    /// The broker drops it if it fails once more, as it did that many times.
    SetAside(Box<Accepted>, u64),
    /// A call that does not run; its message is settled, and its caller gets a failure with the reason.
    Refuse(ReplyTo, String),
    /// There is nothing to run and nothing to answer; the message is settled.
    Nothing,
}

/// Decides about every message that a server receives.
#[derive(Debug)]
pub(crate) struct Admission {
    /// Converts the deadline on the wire, in Unix milliseconds, into a local one.
    clock: WallClock,
    redelivered: Redelivered,
    settle: Settle,
    /// Recognises repeated deliveries by `_unique_id`.
    deliveries: Deliveries,
    /// Limits the warning about requests whose deadline has passed.
    stale: RateLimit,
    /// Limits the warning about callers whose clock is behind.
    clocks: RateLimit,
}

impl Admission {
    /// Remembers deliveries of one server only: each copy of a fanout counts as the first for its server.
    pub(crate) fn new(clock: WallClock, redelivered: Redelivered, settle: Settle) -> Self {
        let deliveries = Deliveries::new(settle);
        Self { clock, redelivered, settle, deliveries, stale: RateLimit::default(), clocks: RateLimit::default() }
    }

    /// Decides what becomes of a message, which may have waited for `unpolled` before the server looked at it.
    /// What is not to run is settled here.
    ///
    /// A request whose deadline has passed is acknowledged and does not run; a call among them is answered. A message
    /// that does not decode is rejected, which the reference also does (oslo.messaging 18.3.1,
    /// `_drivers/impl_rabbit.py`, `Consumer._callback`). A repeated delivery is not answered again.
    ///
    /// Cancellation: a message whose settling was interrupted comes again.
    pub(crate) async fn admit(&self, decoded: Decoded<wire::Request>, unpolled: Duration) -> Admitted {
        let Decoded { message, content, charge } = decoded;
        let request = match content {
            Ok(request) => request,
            Err(error) => {
                counter!("oslo_messaging_undecodable_total").increment(1);
                warn!(%error, queue = ?message.message().queue, "a request that cannot be read is dropped");
                settled(message.reject().await);
                return Admitted::Nothing;
            }
        };
        let arrival = request.call.as_ref().map(|_| Arrival::of(message.message(), unpolled));
        let time = match judge(request.deadline.and_then(|unix_ms| self.clock.read(unix_ms)), arrival) {
            Expiry::Waits(time) => time,
            Expiry::Passed(passed) => {
                let why = self.skip(&request.method, passed);
                settled(message.acknowledge().await);
                return match reply_to(request.call, None) {
                    Some(to) => Admitted::Refuse(to, why),
                    None => Admitted::Nothing,
                };
            }
        };
        let mut delivery = match self.deliveries.check(MessageKey::of(&request.unique_id), message) {
            DuplicateCheck::First(delivery) => delivery,
            DuplicateCheck::Finished(message) => {
                debug!(unique_id = %Excerpt(&request.unique_id), "a repeated delivery of a request is acknowledged");
                counter!("oslo_messaging_requests_duplicate_total").increment(1);
                settled(message.acknowledge().await);
                return Admitted::Nothing;
            }
            DuplicateCheck::InProgress => {
                counter!("oslo_messaging_requests_duplicate_total").increment(1);
                return Admitted::Nothing;
            }
        };
        delivery.hold(charge);
        // A request that was acknowledged before it runs cannot fail a delivery, so its count does not matter.
        let count = delivery.message().delivery_count.filter(|_| self.settle == Settle::ByReceiver);
        let accepted = Box::new(self.accept(request, delivery, time, count.is_some_and(|count| count.failed > 0)));
        match count.filter(|count| count.is_last()) {
            Some(count) => Admitted::SetAside(accepted, count.failed),
            None => Admitted::Run(accepted),
        }
    }

    /// The request with its context, reply address and heartbeat timer.
    ///
    /// Counts redelivered requests, and warns if the clocks differ. Takes no decision but `refused`.
    fn accept(&self, request: wire::Request, delivery: Delivery, time: CallerTime, suspect: bool) -> Accepted {
        let redelivered = delivery.redelivered();
        if redelivered {
            counter!("oslo_messaging_requests_redelivered_total").increment(1);
        }
        if let Some(differ) = time.clocks_differ {
            self.warn_of_clocks(&request.method, differ);
        }
        let info = RequestInfo { unique_id: request.unique_id, redelivered, is_call: request.call.is_some() };
        let heartbeat =
            request.call.as_ref().and_then(|call| heartbeat_interval(call.monitor?)).map(HeartbeatTimer::every);
        let reply_to = reply_to(request.call, time.stale_from);
        let context = Context::received(request.context, time.deadline, Some(info));
        let request = Request::new(context, request.method, request.args)
            .with_namespace(request.namespace)
            .with_version(request.version);
        let refused = redelivered && self.redelivered == Redelivered::Refuse;
        Accepted { request, reply_to, heartbeat, time, waited: false, refused, suspect, delivery }
    }

    /// Why a request is not to start, if its caller gave up while it waited to; that is counted as it is at admission.
    ///
    /// A time that is counted from the arrival runs out only while the request waits in this process:
    /// a request that did not have to wait is not refused for it. [`judge`] says when the arrival counts.
    ///
    /// The runner asks just before the method starts. A request without a known deadline never becomes stale.
    pub(crate) fn has_become_stale(&self, accepted: &Accepted) -> Option<String> {
        let stale_from = accepted.time.stale_from.filter(|_| accepted.waited || !accepted.time.counted_from_arrival)?;
        let passed = Instant::now().checked_duration_since(stale_from.instant())?;
        // `stale_from` of a peer's deadline lies this much behind the deadline itself.
        let allowed_for = if accepted.time.counted_from_arrival { Duration::ZERO } else { STALE };
        Some(self.skip(&accepted.request.method, passed + allowed_for))
    }

    /// Counts a request whose caller gave up `passed` ago, and says why it is skipped.
    ///
    /// The warning is limited in rate and says how many were suppressed.
    fn skip(&self, method: &str, passed: Duration) -> String {
        counter!("oslo_messaging_requests_stale_total").increment(1);
        let why = format!("its deadline passed {passed:.1?} before it could begin, by the clock of the server");
        if let Some(suppressed) = self.stale.due() {
            warn!(
                method = %Excerpt(method),
                ?passed,
                suppressed,
                "a request was skipped: its deadline has passed. Callers that still wait have a clock that differs from this one"
            );
        }
        why
    }

    /// Warns, at most once a minute, that the clock of a caller is behind this server's.
    fn warn_of_clocks(&self, method: &str, differ: Duration) {
        if let Some(suppressed) = self.clocks.due() {
            warn!(
                method = %Excerpt(method),
                ?differ,
                suppressed,
                "a call came after its own deadline, which the broker does not allow: the clock of its caller is behind that of this \
                 server at least by that. It runs all the same; compare both with the time service"
            );
        }
    }
}

/// Where a call is answered; `None` for a cast.
fn reply_to(call: Option<wire::CallFields>, stale_from: Option<Deadline>) -> Option<ReplyTo> {
    call.map(|call| ReplyTo { msg_id: call.msg_id, queue: call.reply_q, stale_from })
}

/// Half of what the caller waits for a sign of life (oslo.messaging `rpc/dispatcher.py`, `_watchdog`).
///
/// The reference cuts the time to whole seconds and sends no heartbeat for less than two of them. Here the interval
/// has a floor of 0.5 s instead, so that a short monitor time works too.
fn heartbeat_interval(monitor_secs: f64) -> Option<Duration> {
    let monitor = Duration::try_from_secs_f64(monitor_secs).ok().filter(|monitor| !monitor.is_zero())?;
    Some((monitor / 2).clamp(SHORTEST_HEARTBEAT, LONGEST_HEARTBEAT))
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
