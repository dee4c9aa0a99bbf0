//! The lost consumers of a listener, and when the next attempt to restore each is due.

use std::collections::BTreeMap;
use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::recovery::attempts::RecoveryAttempts;

/// The lost consumers of one session, by the indexes of their queues.
/// Each has its own backoff, so a consumer that cannot be restored does not delay the others.
#[derive(Debug, Default)]
pub(crate) struct LostConsumers {
    /// Empty while everything is consumed.
    lost: BTreeMap<usize, Lost>,
    /// Kept after a consumer is restored: one that is lost again soon must wait longer.
    attempts: BTreeMap<usize, RecoveryAttempts>,
}

/// A consumer that the broker cancelled, or that could not be restored yet.
#[derive(Debug)]
struct Lost {
    /// Not before this instant; a busy recovery may take longer.
    due: Instant,
    /// Why the last attempt failed, if that makes the listener unhealthy.
    reason: Option<String>,
}

impl LostConsumers {
    /// Adds the consumer of `index`. `pause` maps the number of attempts so far to the wait before the next.
    pub(crate) fn add(&mut self, index: usize, pause: impl FnOnce(u32) -> Duration) {
        self.attempts(index).lost();
        self.put_off(index, None, pause);
    }

    /// Schedules the next attempt for the consumer of `index`.
    /// It replaces an attempt that was scheduled before.
    /// `reason` is why the last one failed, if that makes the listener unhealthy.
    pub(crate) fn put_off(&mut self, index: usize, reason: Option<String>, pause: impl FnOnce(u32) -> Duration) {
        let due = Instant::now() + pause(self.attempts(index).next());
        self.lost.insert(index, Lost { due, reason });
    }

    /// Removes the consumer of `index`, which is restored. Its count of attempts stays.
    pub(crate) fn restored(&mut self, index: usize) {
        self.lost.remove(&index);
        self.attempts(index).back();
    }

    /// Whether the consumer of `index` still waits to be restored. A check of the queues leaves it out.
    pub(crate) fn is_lost(&self, index: usize) -> bool {
        self.lost.contains_key(&index)
    }

    /// Why one of the consumers cannot be restored, if any has such a reason.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.lost.values().find_map(|lost| lost.reason.as_deref())
    }

    /// Waits until the next attempt is due; returns the index of its consumer. Without a lost consumer it never ends.
    ///
    /// Cancellation loses nothing: the consumer stays due.
    pub(crate) async fn due(&self) -> usize {
        let Some((index, lost)) = self.lost.iter().min_by_key(|(_, lost)| lost.due) else { return pending().await };
        sleep_until(lost.due).await;
        *index
    }

    /// Created with a count of zero at the first loss of the consumer.
    fn attempts(&mut self, index: usize) -> &mut RecoveryAttempts {
        self.attempts.entry(index).or_insert_with(RecoveryAttempts::new)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// As many seconds as there were attempts, and one.
    fn growing(attempts: u32) -> Duration {
        Duration::from_secs(u64::from(attempts) + 1)
    }

    #[tokio::test(start_paused = true)]
    async fn each_waits_for_itself_and_the_earliest_comes_first() {
        let mut missing = LostConsumers::default();
        missing.add(0, growing);
        for _ in 0..10 {
            assert_eq!(missing.due().await, 0);
            missing.put_off(0, Some("taken".into()), growing);
        }
        let begun = Instant::now();
        missing.add(2, growing);
        assert_eq!((missing.due().await, begun.elapsed()), (2, Duration::from_secs(1)), "it has not failed yet");
        missing.restored(2);
        assert_eq!((missing.due().await, missing.reason()), (0, Some("taken")));
        missing.restored(0);
        assert_eq!(missing.reason(), None);
        assert!(timeout(Duration::from_secs(3600), missing.due()).await.is_err(), "none is lost");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_lost_again_and_again_waits_longer_each_time() {
        let mut missing = LostConsumers::default();
        for waited in 1..5 {
            let begun = Instant::now();
            missing.add(1, growing);
            missing.due().await;
            assert_eq!(begun.elapsed().as_secs(), waited);
            missing.restored(1);
        }
    }
}
