//! Limits the channels of a transport, once the broker has closed a connection that exceeded its channel limit.
//!
//! RabbitMQ limits the channels of a user or a node, and closes the whole connection that opens one more.
//! To keep one listener too many from disconnecting all others again and again,
//! the driver refuses further channels itself, and probes the limit on a separate connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::ChannelStatus;
use oslo_messaging::Error;
use tokio::time::Instant;
use tracing::{info, warn};

/// How long further channels are refused before the limit is probed again. Long, because each probe opens a connection.
pub(crate) const RETRY: Duration = Duration::from_secs(60);
/// The same if no channel fits at all: the broker may still count those of a lost connection.
const RETRY_FROM_NONE: Duration = Duration::from_secs(10);
/// How long the broker may count a channel that is closed, or whose connection is lost.
/// No promise of RabbitMQ: if it takes longer, the driver loses one more connection.
pub(crate) const LINGER: Duration = Duration::from_millis(500);
/// Errors within this time come from the same closed connection, which fails every channel that was opening.
const SAME: Duration = Duration::from_secs(1);
/// So many free channels in a probe mean that the limit was lifted.
/// A probe stops there, so it never takes many channels from others.
pub(crate) const AMPLE: usize = 8;

/// The channels of a transport, on all its connections, and how many are allowed.
/// Shared by all links of a transport, and by all hosts of its URL.
#[derive(Debug, Default)]
pub(crate) struct ChannelQuota(Mutex<Quota>);

/// Without a limit it only counts. A limit outlives the link on which it was found.
#[derive(Debug, Default)]
struct Quota {
    /// Channels that are open, or closed for less than `LINGER`.
    open: Vec<Open>,
    /// How many permits are out: their channels count before they are open.
    opening: usize,
    /// `None` until a broker has closed a connection for it.
    limit: Option<Limit>,
}

/// One channel that the broker counts, or may still count.
#[derive(Debug)]
struct Open {
    /// lapin's handle to its state, which does not keep the channel open.
    status: ChannelStatus,
    /// When it was first seen closed. From then on it counts for `LINGER`.
    closed: Option<Instant>,
}

/// Set when a broker closes a connection for its channel limit; removed when a probe finds ample room.
#[derive(Debug)]
struct Limit {
    /// How many channels the broker accepted at the same time. A probe can only raise it.
    most: usize,
    /// The error of the lost connection, with the broker's words. Every refusal repeats it.
    reason: Error,
    /// When the connection was lost for it. Nothing is opened for `LINGER` after that.
    since: Instant,
    /// From then on one request may probe again.
    retry: Instant,
}

/// Permission to open one channel. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Permit {
    /// Counts this permit until it is dropped.
    quota: Arc<ChannelQuota>,
    /// How many channels there were before it: the limit, if the broker refuses this one.
    before: usize,
}

/// The answer to a request for a channel. Only `Granted` lets the caller open one.
#[derive(Debug)]
pub(crate) enum Admission {
    /// The caller may open one channel, and must report to the permit how that ended.
    Granted(Permit),
    /// The limit is reached, and a probe is due: the caller must make it.
    Ask,
    /// The error of the connection that was lost at the limit, with the broker's words. Transient.
    Refused(Error),
}

impl ChannelQuota {
    /// Asks for one more channel: it is granted unless a known limit leaves no room.
    ///
    /// For a moment after the connection was lost every request is refused,
    /// because the broker still counts its channels.
    /// Of several requests at the time of a probe, one gets `Ask` and the others are refused.
    pub(crate) fn admit(self: &Arc<Self>) -> Admission {
        let now = Instant::now();
        let mut quota = self.lock();
        let before = quota.count(now);
        if let Some(limit) = quota.limit.as_mut().filter(|limit| before >= limit.most) {
            if now < limit.retry {
                return Admission::Refused(limit.reason.clone());
            }
            limit.retry = now + limit.wait();
            return Admission::Ask;
        }
        if let Some(limit) = quota.limit.as_ref().filter(|limit| now < limit.since + LINGER) {
            return Admission::Refused(limit.reason.clone());
        }
        quota.opening += 1;
        Admission::Granted(Permit { quota: Arc::clone(self), before })
    }

    /// Whether the broker has closed a connection at its channel limit, and no probe has found ample room since.
    /// Then publishers share one channel, and listeners resubscribe one after another.
    pub(crate) fn is_tight(&self) -> bool {
        self.lock().limit.is_some()
    }

    /// Reports the result of a probe: the broker accepted `room` more channels on a separate connection.
    /// Must follow each `Ask`, also if the probe failed; `room` is 0 then.
    pub(crate) fn found(&self, room: usize) {
        let now = Instant::now();
        let mut quota = self.lock();
        let count = quota.count(now);
        if room >= AMPLE {
            info!("the broker accepts more channels again; the driver no longer limits them");
            quota.limit = None;
        } else if let Some(limit) = &mut quota.limit {
            // Never lower: a probe competes with channels that are opening.
            limit.most = limit.most.max(count + room);
            limit.retry = now + limit.wait();
        }
    }

    /// Never held across an await; every change of the quota is one short step.
    fn lock(&self) -> MutexGuard<'_, Quota> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Turns the permit into an open channel, which counts until its `status` has been closed for `LINGER`.
    pub(crate) fn opened(self, status: ChannelStatus) {
        self.quota.lock().open.push(Open { status, closed: None });
    }

    /// Reports that the broker closed the connection with `error`, because this channel exceeded the limit.
    /// Several channels fail with one connection; within 1 s they count as one event, and the highest count is taken.
    /// The first of them is logged as a warning.
    pub(crate) fn exceeded(self, error: &Error) {
        let now = Instant::now();
        let mut quota = self.quota.lock();
        let same = quota.limit.as_ref().filter(|limit| now < limit.since + SAME);
        let most = same.map_or(self.before, |limit| limit.most.max(self.before));
        if same.is_none() {
            warn!(
                channels = most,
                %error,
                "the broker closed the connection at its channel limit; the driver opens no more channels and probes the limit after {RETRY:?}"
            );
        }
        let mut limit = Limit { most, reason: error.clone(), since: now, retry: now };
        limit.retry += limit.wait();
        quota.limit = Some(limit);
    }
}

impl Limit {
    /// How long further channels are refused before the next probe: 10 s if no channel fits,
    /// because the broker may still count those of a lost connection, and otherwise 60 s.
    fn wait(&self) -> Duration {
        if self.most == 0 { RETRY_FROM_NONE } else { RETRY }
    }
}

impl Drop for Permit {
    /// A permit that became a channel is counted there by then, so the number never dips between the two.
    fn drop(&mut self) {
        self.quota.lock().opening -= 1;
    }
}

impl Quota {
    /// How many channels the broker may count: those open, opening, and closed for less than `LINGER`.
    /// Forgets channels that have been closed for longer.
    fn count(&mut self, now: Instant) -> usize {
        for open in &mut self.open {
            if !open.status.connected() {
                open.closed.get_or_insert(now);
            }
        }
        self.open.retain(|open| open.closed.is_none_or(|closed| now < closed + LINGER));
        self.open.len() + self.opening
    }
}

#[cfg(test)]
mod tests {
    use oslo_messaging::ErrorKind;

    use super::*;

    fn granted(quota: &Arc<ChannelQuota>) -> Permit {
        match quota.admit() {
            Admission::Granted(permit) => permit,
            other => panic!("{other:?}"),
        }
    }

    fn limit() -> Error {
        Error::new(ErrorKind::Refused, "open channel").with_source("NOT_ALLOWED - number of channels opened for user")
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_fit_is_refused_for_a_minute_and_then_the_broker_is_asked_once() {
        let quota = Arc::new(ChannelQuota::default());
        let held = [granted(&quota), granted(&quota)];
        assert!(!quota.is_tight());
        granted(&quota).exceeded(&limit());
        for _ in 0..3 {
            assert!(
                matches!(quota.admit(), Admission::Refused(error) if error.to_string().contains("channels opened"))
            );
        }
        tokio::time::advance(RETRY).await;
        assert!(matches!(quota.admit(), Admission::Ask));
        assert!(matches!(quota.admit(), Admission::Refused(_)), "one asks for all");
        quota.found(0);
        assert!(matches!(quota.admit(), Admission::Refused(_)));
        drop(held);
        let _fits = granted(&quota);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_opened_right_after_a_limit_was_hit() {
        let quota = Arc::new(ChannelQuota::default());
        let held = granted(&quota);
        granted(&quota).exceeded(&limit());
        drop(held);
        assert!(matches!(quota.admit(), Admission::Refused(_)), "the broker may count what is gone");
        tokio::time::advance(LINGER).await;
        let _fits = granted(&quota);
    }

    #[tokio::test(start_paused = true)]
    async fn room_that_was_found_is_used_and_ample_room_lifts_the_limit() {
        let quota = Arc::new(ChannelQuota::default());
        granted(&quota).exceeded(&limit());
        assert!(matches!(quota.admit(), Admission::Refused(_)));
        tokio::time::advance(RETRY_FROM_NONE).await;
        assert!(matches!(quota.admit(), Admission::Ask));
        quota.found(1);
        let first = granted(&quota);
        assert!(matches!(quota.admit(), Admission::Refused(_)));
        quota.found(AMPLE);
        assert!(!quota.is_tight());
        let _more = [granted(&quota), granted(&quota), first];
    }

    #[tokio::test(start_paused = true)]
    async fn of_several_that_lost_one_connection_the_last_knows_how_many_fit() {
        let quota = Arc::new(ChannelQuota::default());
        let [first, second, third] = [granted(&quota), granted(&quota), granted(&quota)];
        third.exceeded(&limit());
        first.exceeded(&limit());
        second.exceeded(&limit());
        tokio::time::advance(LINGER).await;
        let _fit = [granted(&quota), granted(&quota)];
        assert!(matches!(quota.admit(), Admission::Refused(_)));
    }
}
