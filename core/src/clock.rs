//! The one wall clock of a bus.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::Deadline;

/// A deadline of a peer further away than this is a broken clock or an attack, and is ignored.
const FARTHEST: Duration = Duration::from_secs(24 * 3600);

/// Translates between deadlines on tokio's clock and Unix milliseconds on the wire.
///
/// The wall time is read once; what has passed since is tokio's, so that a test under paused time sees deadlines on
/// the wire move with its clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WallClock {
    unix: Duration,
    started: Instant,
}

impl WallClock {
    pub(crate) fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { unix, started: Instant::now() }
    }

    pub(crate) fn unix_ms(&self, deadline: Deadline) -> u64 {
        let since_start = deadline.instant().saturating_duration_since(self.started);
        u64::try_from((self.unix + since_start).as_millis()).unwrap_or(u64::MAX)
    }

    /// How far a peer's deadline lies from now; `None` if it is not to be believed.
    pub(crate) fn read(&self, unix_ms: u64) -> Option<PeerDeadline> {
        let now = self.unix + self.started.elapsed();
        let then = Duration::from_millis(unix_ms);
        if then.abs_diff(now) > FARTHEST {
            return None;
        }
        Some(match then.checked_sub(now) {
            Some(ahead) if !ahead.is_zero() => PeerDeadline::Ahead(Deadline::after(ahead)),
            _ => PeerDeadline::PassedSince(now.saturating_sub(then)),
        })
    }
}

/// The deadline that a peer wrote, seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerDeadline {
    Ahead(Deadline),
    PassedSince(Duration),
}

#[cfg(test)]
mod tests {
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
}
