//! A warning that many requests may cause, at most one a while.
//!
//! Remote peers can cause these warnings at any rate, so each kind is logged at most once a minute, with the number
//! of occurrences that were not logged.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The least time between two warnings of one kind.
const EVERY: Duration = Duration::from_secs(60);

/// Says which occurrence of a kind is to be logged: the first, and then one a minute with the number of those between.
#[derive(Debug, Default)]
pub(super) struct RateLimit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When a warning was last written; `None` before the first.
    last: Option<Instant>,
    /// Occurrences since then, without a warning of their own.
    suppressed: u64,
}

impl RateLimit {
    /// Counts one occurrence; if it is to be logged, gives how many before it were not.
    pub(super) fn due(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| last.elapsed() < EVERY) {
            state.suppressed += 1;
            return None;
        }
        state.last = Some(Instant::now());
        // The counter starts again, so that no occurrence is reported twice.
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_is_logged_and_then_one_a_minute_with_the_number_of_the_others() {
        let limit = RateLimit::default();
        assert_eq!([limit.due(), limit.due(), limit.due()], [Some(0), None, None]);
        tokio::time::advance(EVERY).await;
        assert_eq!([limit.due(), limit.due()], [Some(2), None]);
    }
}
