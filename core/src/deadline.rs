//! Deadlines in place of timeouts: each layer passes the same point in time on, so their waits do not add up.

use std::future::Future;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::{Error, Result};

/// The longest budget: a year. Longer ones are cut to it, so that no sum with `Instant` overflows.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// The point in time by which an operation must have ended, passed unchanged through every layer.
///
/// It lies on tokio's clock, so a test under `start_paused` governs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline that lies `budget` from now; a budget over a year counts as a year.
    #[must_use]
    pub fn after(budget: Duration) -> Self {
        Self(Instant::now() + budget.min(LONGEST))
    }

    /// The deadline at `instant`, which is not cut to a year.
    #[must_use]
    pub fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// The point in time, on tokio's clock.
    #[must_use]
    pub fn instant(self) -> Instant {
        self.0
    }

    /// How long is left; zero once it has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed, which it has from its very instant on.
    #[must_use]
    pub fn has_passed(self) -> bool {
        self.remaining().is_zero()
    }

    /// Runs `future` until it ends or the deadline passes.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) naming `operation`, which may have happened all the same
    /// ([`Executed::Maybe`](crate::Executed::Maybe)). A caller that knows more says so with [`Error::with_executed`].
    ///
    /// # Cancellation
    /// `future` is dropped when the deadline passes.
    ///
    /// # Panics
    /// Outside a tokio runtime with timers, when it is called and not when it is polled.
    // Not an `async fn`, which would keep `future` twice.
    pub fn run<F: Future>(self, operation: &'static str, future: F) -> impl Future<Output = Result<F::Output>> {
        tokio::time::timeout_at(self.0, future).map(move |ended| ended.map_err(|_| Error::timeout(operation)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Executed;

    #[tokio::test(start_paused = true)]
    async fn an_operation_that_a_deadline_cut_off_may_have_happened() {
        let cut_off = Deadline::after(Duration::from_secs(1)).run("wait", std::future::pending::<()>()).await;
        assert_eq!(cut_off.unwrap_err().executed(), Executed::Maybe);
    }
}
