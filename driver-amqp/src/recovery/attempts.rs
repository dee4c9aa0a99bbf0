//! Counts consecutive recovery attempts of one listener or consumer; [`Backoff`](crate::backoff::Backoff) grows with
//! the count.

use tokio::time::Instant;

use crate::backoff::STABLE_AFTER;

/// The recovery attempts since the listener or consumer was last up for [`STABLE_AFTER`].
/// It uses tokio's clock, so tests can pause it.
#[derive(Debug)]
pub(crate) struct RecoveryAttempts {
    /// Attempts since the last stable time. It saturates.
    count: u32,
    /// When it came up last; at first, when this was made.
    since: Instant,
}

impl RecoveryAttempts {
    /// For something that is up now. Its first loss therefore begins with the shortest wait.
    pub(crate) fn new() -> Self {
        Self { count: 0, since: Instant::now() }
    }

    /// Notes a loss. To be called once per loss, not per attempt: the time that a recovery takes is no time up.
    /// The count goes back to zero if it was up for more than 30 s.
    pub(crate) fn lost(&mut self) {
        if self.since.elapsed() > STABLE_AFTER {
            self.count = 0;
        }
    }

    /// To be called when a recovery succeeded: the time up begins here.
    /// The count stays; only the next loss after enough time up resets it.
    pub(crate) fn back(&mut self) {
        self.since = Instant::now();
    }

    /// Starts another attempt; returns how many there were before it.
    /// The result is the argument of the backoff, so the first wait is the shortest.
    pub(crate) fn next(&mut self) -> u32 {
        let before = self.count;
        // Saturates: the backoff reached its cap long before.
        self.count = self.count.saturating_add(1);
        before
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;
    use crate::backoff::Backoff;
    use crate::config::AmqpConfig;

    /// The waits before `times` attempts that all fail, each as long as it may be.
    async fn waits(attempts: &mut RecoveryAttempts, times: usize) -> Vec<u64> {
        let mut waits = Vec::new();
        attempts.lost();
        for _ in 0..times {
            let pause = Backoff::Slow(attempts.next()).delay(&AmqpConfig::default(), 1.0);
            sleep(pause).await;
            waits.push(pause.as_secs());
        }
        waits
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_their_cap_and_stay_there_however_long_they_are() {
        assert_eq!(waits(&mut RecoveryAttempts::new(), 8).await, [2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_life_that_was_long_enough_makes_them_short_again() {
        let mut attempts = RecoveryAttempts::new();
        waits(&mut attempts, 3).await;
        for (lived, waited) in [(STABLE_AFTER, [16, 32]), (STABLE_AFTER + Duration::from_secs(1), [2, 4])] {
            attempts.back();
            sleep(lived).await;
            assert_eq!(waits(&mut attempts, 2).await, waited, "{lived:?}");
        }
    }
}
