//! How often in a row something was put back, or could not be: the waits grow with it.

use std::time::Duration;

use tokio::time::Instant;

/// How long what was put back must have lived before its next loss counts as the first.
const TRUSTED: Duration = Duration::from_secs(30);

/// The tries since what is kept was last trusted.
#[derive(Debug)]
pub(crate) struct Attempts {
    count: u32,
    since: Instant,
}

impl Attempts {
    /// Of something that is there now.
    pub(crate) fn new() -> Self {
        Self { count: 0, since: Instant::now() }
    }

    /// It is lost. To be told of once for each loss: how long it takes to put it back says nothing for it.
    pub(crate) fn lost(&mut self) {
        if self.since.elapsed() > TRUSTED {
            self.count = 0;
        }
    }

    /// It is back.
    pub(crate) fn back(&mut self) {
        self.since = Instant::now();
    }

    /// Begins another try; how many there were before it.
    pub(crate) fn next(&mut self) -> u32 {
        let before = self.count;
        self.count = self.count.saturating_add(1);
        before
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::backoff::Backoff;
    use crate::config::AmqpConfig;

    /// The waits before `times` tries that all fail, each as long as it may be.
    async fn waits(attempts: &mut Attempts, times: usize) -> Vec<u64> {
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
        assert_eq!(waits(&mut Attempts::new(), 8).await, [2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_life_that_was_long_enough_makes_them_short_again() {
        let mut attempts = Attempts::new();
        waits(&mut attempts, 3).await;
        for (lived, waited) in [(TRUSTED, [16, 32]), (TRUSTED + Duration::from_secs(1), [2, 4])] {
            attempts.back();
            sleep(lived).await;
            assert_eq!(waits(&mut attempts, 2).await, waited, "{lived:?}");
        }
    }
}
