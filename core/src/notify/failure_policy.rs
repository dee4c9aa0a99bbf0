//! The attempts and waits of an event whose handler fails, and what becomes of it after the last.
//!
//! The wait between attempts is spent in memory: the event stays unsettled, so a crash loses nothing, and the broker
//! delivers it again to another listener.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::retry::backoff::Backoff;
use crate::{Error, ErrorKind, Result};

/// An event may wait in memory for this long in all: a broker asks for messages back that stay unsettled for longer
/// than its own limit (RabbitMQ's `consumer_timeout`: 30 minutes).
const LONGEST_IN_ALL: Duration = Duration::from_secs(600);
/// Each wait is so many times as long as the one before.
const GROWTH: u32 = 4;

/// What happens to an event whose handler fails:
/// the handler runs again after a wait, up to a number of attempts; then the event is given up.
///
/// The event waits unsettled in memory. It delays other events only when half of the window waits. With the defaults
/// there are 5 attempts, 1 s, 4 s, 16 s and 64 s apart, and then the event moves to the dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailurePolicy {
    /// How many attempts there are in total. Default: 5.
    pub attempts: NonZeroU32,
    /// How long it waits after the first failure, and four times as long after each further one. Default: 1 s.
    pub first_wait: Duration,
    /// What is done with it then. Default: [`GiveUp::DeadLetter`].
    pub give_up: GiveUp,
}

/// What becomes of an event that is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GiveUp {
    /// Its dead letter goes to the durable queue `<queue>.dead`, with the reason in its headers; once the broker has
    /// confirmed that, the event is acknowledged. While that queue does not take it, the event is kept and its move is
    /// tried again; its handler is not run again in this process, and the health of the bus names the queue.
    DeadLetter,
    /// It is acknowledged, and counted as `dropped` in `oslo_messaging_notifications_total`.
    Drop,
}

impl Default for FailurePolicy {
    fn default() -> Self {
        Self {
            attempts: NonZeroU32::new(5).expect("5 is not zero"),
            first_wait: Duration::from_secs(1),
            give_up: GiveUp::DeadLetter,
        }
    }
}

impl FailurePolicy {
    /// Sets how many attempts there are in total; 0 counts as 1. Default: 5.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = NonZeroU32::new(attempts).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// Sets how long it waits after the first failure; each further wait is four times as long. Default: 1 s.
    #[must_use]
    pub fn with_first_wait(mut self, wait: Duration) -> Self {
        self.first_wait = wait;
        self
    }

    /// Sets whether an event that is given up becomes a dead letter or is dropped. Default: a dead letter.
    #[must_use]
    pub fn with_give_up(mut self, give_up: GiveUp) -> Self {
        self.give_up = give_up;
        self
    }

    /// How long to wait after attempt number `attempt`, from 1, has failed; `None` if it was the last.
    pub(super) fn wait_after(&self, attempt: u32) -> Option<Duration> {
        (attempt < self.attempts.get()).then(|| {
            // Without a wait there is nothing to grow, however many attempts there are.
            let longest = if self.first_wait.is_zero() { Duration::ZERO } else { Duration::MAX };
            Backoff::growing(self.first_wait, GROWTH, longest).wait(attempt.saturating_sub(1))
        })
    }

    /// Called when the listener starts, since attempts and first wait are set one after the other.
    ///
    /// Errors: [`ErrorKind::Config`] if all waits together are over ten minutes.
    pub(super) fn check(&self) -> Result<()> {
        // All waits are zero, and the number of attempts may be huge: do not count through them.
        if self.first_wait.is_zero() {
            return Ok(());
        }
        let mut in_all = Duration::ZERO;
        for attempt in 1..self.attempts.get() {
            in_all = in_all.saturating_add(self.wait_after(attempt).unwrap_or_default());
            if in_all > LONGEST_IN_ALL {
                return Err(Error::new(ErrorKind::Config, "start")
                    .with_context("reason", "an event may wait for its attempts for ten minutes in all")
                    .with_context("attempts", self.attempts)
                    .with_context("first_wait", format_args!("{:?}", self.first_wait)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_tries_five_times_over_a_minute_and_a_half() {
        let policy = FailurePolicy::default();
        let waits: Vec<_> = (1..=5).map(|attempt| policy.wait_after(attempt).map(|wait| wait.as_secs())).collect();
        assert_eq!(waits, [Some(1), Some(4), Some(16), Some(64), None]);
        policy.check().unwrap();
    }

    #[test]
    fn waits_over_ten_minutes_in_all_are_refused() {
        let policy = FailurePolicy::default();
        for (attempts, first_wait, allowed) in [
            (1, Duration::MAX, true),
            (2, LONGEST_IN_ALL, true),
            (2, LONGEST_IN_ALL + Duration::from_nanos(1), false),
            (6, Duration::from_secs(1), true),
            (7, Duration::from_secs(1), false),
            (u32::MAX, Duration::from_millis(1), false),
            (u32::MAX, Duration::ZERO, true),
        ] {
            let checked = policy.with_attempts(attempts).with_first_wait(first_wait).check();
            assert_eq!(checked.is_ok(), allowed, "{attempts} attempts from {first_wait:?}: {checked:?}");
        }
    }
}
