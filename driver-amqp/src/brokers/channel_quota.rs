//! How many channels the broker lets this transport have, once it has ended a connection because of one too many.
//!
//! RabbitMQ limits the channels of a user, or of a node, and ends the whole connection that opens one more. So that one
//! listener too many does not cost all others their connection again and again, what does not fit is refused here, and tried
//! on a connection of its own first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::ChannelStatus;
use oslo_messaging::Error;
use tokio::time::Instant;
use tracing::{info, warn};

/// How long what does not fit is refused before the broker is asked again.
pub(crate) const RETRY: Duration = Duration::from_secs(60);
/// Likewise where no channel fits at all: the broker may still count those of a connection that is gone.
const RETRY_FROM_NONE: Duration = Duration::from_secs(10);
/// How long the broker may count a channel that is closed, or whose connection is gone.
pub(crate) const LINGER: Duration = Duration::from_millis(500);
/// Hits of one connection's end, which everybody hears who was opening a channel.
const SAME: Duration = Duration::from_secs(1);
/// As many free channels as this say that the limit is lifted.
pub(crate) const AMPLE: usize = 8;

/// The channels of a transport, and how many there may be.
#[derive(Debug, Default)]
pub(crate) struct ChannelQuota(Mutex<Quota>);

#[derive(Debug, Default)]
struct Quota {
    open: Vec<Open>,
    /// How many are being opened.
    opening: usize,
    limit: Option<Limit>,
}

#[derive(Debug)]
struct Open {
    status: ChannelStatus,
    closed: Option<Instant>,
}

#[derive(Debug)]
struct Limit {
    most: usize,
    /// In the broker's words.
    reason: Error,
    since: Instant,
    retry: Instant,
}

/// The right to open one channel. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Permit {
    quota: Arc<ChannelQuota>,
    /// How many there were already.
    before: usize,
}

/// What is said to whoever wants a channel.
#[derive(Debug)]
pub(crate) enum Admission {
    Granted(Permit),
    /// It does not fit; the broker is to be asked on another connection.
    Ask,
    Refused(Error),
}

impl ChannelQuota {
    /// Asks for one more channel.
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

    /// Whether a limit is known.
    pub(crate) fn is_tight(&self) -> bool {
        self.lock().limit.is_some()
    }

    /// Notes that the broker had room for so many more channels, on a connection of their own.
    pub(crate) fn found(&self, room: usize) {
        let now = Instant::now();
        let mut quota = self.lock();
        let count = quota.count(now);
        if room >= AMPLE {
            info!("the broker accepts more channels again; the driver no longer limits them");
            quota.limit = None;
        } else if let Some(limit) = &mut quota.limit {
            limit.most = limit.most.max(count + room);
            limit.retry = now + limit.wait();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Quota> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The channel is open.
    pub(crate) fn opened(self, status: ChannelStatus) {
        self.quota.lock().open.push(Open { status, closed: None });
    }

    /// The broker ended the connection because of `error`: there was one too many.
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
    /// How long what does not fit is refused.
    fn wait(&self) -> Duration {
        if self.most == 0 { RETRY_FROM_NONE } else { RETRY }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.quota.lock().opening -= 1;
    }
}

impl Quota {
    /// How many channels the broker counts, as far as we know.
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
