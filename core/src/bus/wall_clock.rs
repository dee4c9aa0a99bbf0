//! Converts deadlines between the wire and tokio's clock, at one place in a bus.
//!
//! `_deadline` on the wire is in milliseconds of Unix time, and [`Deadline`] is on tokio's monotonic clock. Only this
//! module converts between the two, at the moment a request is sent or received, so that a step of the system's clock
//! has no effect on a request in progress.

use std::time::{Duration, Instant as StdInstant, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::Deadline;

/// A deadline of a peer further away than this is a broken clock or an attack, and is ignored.
const FARTHEST: Duration = Duration::from_secs(24 * 3600);

/// Translates between deadlines on tokio's clock and Unix milliseconds on the wire.
///
/// It follows the system's clock, so a step of it or a suspended machine makes no request look stale. What tokio's
/// clock gained over the real one is added,
/// so that a test under paused time sees deadlines on the wire move with its clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WallClock {
    system: fn() -> SystemTime,
    /// When the clock was started, on tokio's clock, which a test may advance.
    started: Instant,
    /// The same moment on the real monotonic clock.
    really_started: StdInstant,
}

impl WallClock {
    /// Follows the system's clock, and adds what tokio's clock gains on the real one from here on.
    pub(crate) fn start() -> Self {
        Self::over(SystemTime::now)
    }

    /// A clock over another source of the time, for tests.
    fn over(system: fn() -> SystemTime) -> Self {
        Self { system, started: Instant::now(), really_started: StdInstant::now() }
    }

    /// `deadline` in milliseconds of Unix time, for the wire.
    pub(crate) fn unix_ms(&self, deadline: Deadline) -> u64 {
        let now = Instant::now();
        let ahead = deadline.instant().saturating_duration_since(now);
        let behind = now.saturating_duration_since(deadline.instant());
        u64::try_from((self.unix() + ahead).saturating_sub(behind).as_millis()).unwrap_or(u64::MAX)
    }

    /// How far a peer's deadline lies from now; `None` if it is not to be believed.
    pub(crate) fn read(&self, unix_ms: u64) -> Option<PeerDeadline> {
        let now = self.unix();
        let then = Duration::from_millis(unix_ms);
        // In both directions: a peer whose clock is a day behind is believed no more than one that is a day ahead.
        if then.abs_diff(now) > FARTHEST {
            return None;
        }
        Some(match then.checked_sub(now) {
            Some(ahead) if !ahead.is_zero() => PeerDeadline::Ahead(Deadline::after(ahead)),
            _ => PeerDeadline::PassedSince(now.saturating_sub(then)),
        })
    }

    /// The time since the epoch: the system's, as if it ran at the pace of tokio's clock since the start.
    fn unix(&self) -> Duration {
        let system = (self.system)().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Without paused time the two elapsed times are the same and cancel out.
        (system + self.started.elapsed()).saturating_sub(self.really_started.elapsed())
    }
}

/// A peer's deadline relative to now, by this machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerDeadline {
    Ahead(Deadline),
    PassedSince(Duration),
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_survives_the_wire() {
        let clock = WallClock::start();
        let deadline = Deadline::after(Duration::from_secs(60));
        tokio::time::advance(Duration::from_secs(20)).await;
        let Some(PeerDeadline::Ahead(read)) = clock.read(clock.unix_ms(deadline)) else { panic!("it lies ahead") };
        assert!(read.remaining().abs_diff(Duration::from_secs(40)) <= Duration::from_millis(1), "{read:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_a_day_away_is_not_believed() {
        let clock = WallClock::start();
        assert_eq!(clock.read(0), None);
        assert_eq!(clock.read(u64::MAX), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_passed_deadline_says_for_how_long() {
        let clock = WallClock::start();
        let sent = clock.unix_ms(Deadline::after(Duration::ZERO));
        tokio::time::advance(Duration::from_secs(9)).await;
        let Some(PeerDeadline::PassedSince(passed)) = clock.read(sent) else { panic!("it has passed") };
        assert!(passed.abs_diff(Duration::from_secs(9)) <= Duration::from_millis(1), "{passed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stepped_clock_is_followed() {
        const STEP: Duration = Duration::from_secs(3_600);
        static STEPPED_BY: AtomicU64 = AtomicU64::new(0);
        let clock = WallClock::over(|| SystemTime::now() + Duration::from_secs(STEPPED_BY.load(Ordering::Relaxed)));
        let deadline = Deadline::after(Duration::from_secs(60));
        let before = clock.unix_ms(deadline);
        STEPPED_BY.store(STEP.as_secs(), Ordering::Relaxed);
        let stepped = clock.unix_ms(deadline) - before;
        assert!(stepped.abs_diff(3_600_000) <= 5_000, "the deadline is written in the new time: {stepped} ms later");
        let peers = SystemTime::now() + STEP + Duration::from_secs(60);
        let peers = u64::try_from(peers.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
        let Some(PeerDeadline::Ahead(read)) = clock.read(peers) else { panic!("it lies ahead") };
        assert!(read.remaining().abs_diff(Duration::from_secs(60)) <= Duration::from_secs(5), "{read:?}");
    }
}
