//! When a failed operation is tried again, and how long to wait before.
//!
//! [`Retry::run`] repeats an operation only while its errors are transient and certain not to have had an effect;
//! [`Retry::run_repeatable`] also repeats what may have had one, for receivers that recognise repetitions. Waits have
//! full jitter, so that clients that lost the same broker spread their attempts.

pub(crate) mod backoff;
mod jitter;

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use self::backoff::Backoff;
use crate::{Deadline, Error, Executed, Result};

pub use self::jitter::jitter;

/// The longest wait before the first retry, whatever [`Retry::base`] says: most losses are over at once.
const FIRST: Duration = Duration::from_millis(250);

/// How much time is kept at most for an attempt, by what the last one took.
/// One that took longer waited for a connection, and the next may be quick.
const LONGEST_RESERVE: Duration = Duration::from_secs(1);

/// How often a failed operation is repeated, and how long the waits in between are.
///
/// Waits grow exponentially with full jitter: a uniform share of `base`, then of twice that, up to `cap`, so that
/// clients that lost the same broker do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// How many attempts may follow the first one. `None`: as many as fit before the deadline. Default: `None`.
    pub max_retries: Option<u32>,
    /// The longest wait before the first retry, at most 250 ms. Default: 100 ms.
    pub base: Duration,
    /// The longest wait before any retry. Default: 10 s.
    pub cap: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self::until_deadline()
    }
}

impl Retry {
    /// As many attempts as fit before the deadline: the default.
    #[must_use]
    pub fn until_deadline() -> Self {
        Self { max_retries: None, base: Duration::from_millis(100), cap: Duration::from_secs(10) }
    }

    /// One attempt: its error is returned even if it is transient.
    #[must_use]
    pub fn never() -> Self {
        Self::times(0)
    }

    /// Tries again `retries` times, so `retries + 1` times in all.
    #[must_use]
    pub fn times(retries: u32) -> Self {
        Self { max_retries: Some(retries), ..Self::until_deadline() }
    }

    /// Sets the longest wait before the first retry; over 250 ms it is 250 ms. Default: 100 ms.
    #[must_use]
    pub fn with_base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// Sets the longest wait before any retry. Default: 10 s.
    #[must_use]
    pub fn with_cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// Whether another attempt may follow one that failed with `error`, after `retries` retries: the error is
    /// transient, certainly nothing was executed, and the limit is not reached.
    pub(crate) fn permits(&self, retries: u32, error: &Error) -> bool {
        error.is_transient() && error.executed() == Executed::No && self.allows(retries)
    }

    /// How long to wait after `retries` retries were made. `random` is uniform in `0.0..1.0`.
    fn delay(&self, retries: u32, random: f64) -> Duration {
        // The base is capped here and not in `with_base`, since the field is public.
        let ceiling = Backoff::doubling(self.base.min(FIRST), self.cap).wait(retries);
        let random = if random.is_nan() { 0.0 } else { random.clamp(0.0, 1.0) };
        // A cap of centuries is more than a multiplication gives back.
        Duration::try_from_secs_f64(ceiling.as_secs_f64() * random).unwrap_or(ceiling)
    }

    /// Runs `attempt` until it succeeds, fails with an error that permits no other attempt, or less time is left
    /// than the last attempt took (at most a second is asked for). An error permits another attempt if it is
    /// transient and says [`Executed::No`], and [`max_retries`](Self::max_retries) is not reached.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use oslo_messaging::{Deadline, Error, ErrorKind, Executed, Retry};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> oslo_messaging::Result<()> {
    /// let mut attempts = 0;
    /// let attempt = || {
    ///     attempts += 1;
    ///     let lost = Error::new(ErrorKind::Disconnected, "look up").with_executed(Executed::No).transient();
    ///     std::future::ready(if attempts < 3 { Err(lost) } else { Ok("host-1") })
    /// };
    /// let host = Retry::times(5).run(Deadline::after(Duration::from_secs(10)), attempt).await?;
    /// assert_eq!(host, "host-1");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The error of the last attempt, with the number of attempts if there was more than one.
    ///
    /// # Cancellation
    /// Drops the attempt that is under way, which may have had its effect. No further one starts.
    pub async fn run<T, F, Fut>(&self, deadline: Deadline, attempt: F) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        self.repeat(deadline, attempt, |retries, error| self.permits(retries, error)).await
    }

    /// As [`run`](Self::run), for operations that may happen twice because their receiver detects it: also an attempt
    /// that may have been executed is followed by another.
    /// A sink of notifications publishes so, since copies of one event have one id.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use oslo_messaging::{Deadline, Error, ErrorKind, Executed, Retry};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> oslo_messaging::Result<()> {
    /// let mut attempts = 0;
    /// let attempt = || {
    ///     attempts += 1;
    ///     let unconfirmed = Error::new(ErrorKind::Disconnected, "publish").with_executed(Executed::Maybe).transient();
    ///     std::future::ready(if attempts == 1 { Err(unconfirmed) } else { Ok(()) })
    /// };
    /// Retry::times(1).run_repeatable(Deadline::after(Duration::from_secs(10)), attempt).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The error of the last attempt, with the number of attempts if there was more than one; it says
    /// [`Maybe`](Executed::Maybe) if any of them did.
    ///
    /// # Cancellation
    /// Drops the attempt that is under way, which may have had its effect. No further one starts.
    pub async fn run_repeatable<T, F, Fut>(&self, deadline: Deadline, attempt: F) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        self.run_repeatable_if(deadline, attempt, |_| true).await
    }

    /// As [`run_repeatable`](Self::run_repeatable), if `repeatable` says of the error of a try that may have been
    /// executed that it may be followed by another.
    pub(crate) async fn run_repeatable_if<T, F, Fut>(
        &self,
        deadline: Deadline,
        attempt: F,
        repeatable: impl Fn(&Error) -> bool,
    ) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        // Once one attempt may have been executed, no later error can take that back.
        let mut left_open = false;
        let permits = |retries, error: &Error| {
            left_open |= error.executed() == Executed::Maybe;
            let may_follow = match error.executed() {
                Executed::No => true,
                Executed::Maybe => repeatable(error),
                Executed::Yes => false,
            };
            error.is_transient() && may_follow && self.allows(retries)
        };
        let outcome = self.repeat(deadline, attempt, permits).await;
        outcome.map_err(|error| {
            if left_open && error.executed() == Executed::No { error.with_executed(Executed::Maybe) } else { error }
        })
    }

    /// Asks `permits` after each failure, with the number of retries that were made before it.
    async fn repeat<T, F, Fut>(
        &self,
        deadline: Deadline,
        mut attempt: F,
        mut permits: impl FnMut(u32, &Error) -> bool,
    ) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let mut retries = 0;
        loop {
            let began = Instant::now();
            let error = match attempt().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            // An attempt that the deadline would end tells less than this error: nothing is known of its execution.
            let spare = deadline.remaining().saturating_sub(began.elapsed().min(LONGEST_RESERVE));
            // `permits` runs also when no time is left: it records whether an attempt may have been executed.
            let delay = permits(retries, &error).then(|| self.delay(retries, jitter()));
            let Some(delay) = delay.filter(|_| spare > self.base.min(FIRST)) else {
                return Err(if retries == 0 { error } else { error.with_context("attempts", u64::from(retries) + 1) });
            };
            // A wait past the deadline would waste what is left: shorten it instead, so that a last attempt is made.
            tokio::time::sleep(delay.min(spare.mul_f64(jitter()))).await;
            retries = retries.saturating_add(1);
        }
    }

    /// Whether the limit lets another try follow after `retries` retries.
    fn allows(&self, retries: u32) -> bool {
        self.max_retries.is_none_or(|limit| retries < limit)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::ErrorKind;

    const MINUTE: Duration = Duration::from_secs(60);

    fn lost() -> Error {
        Error::new(ErrorKind::Disconnected, "publish").with_executed(Executed::No).transient()
    }

    async fn tries(retry: Retry, budget: Duration, error: impl Fn() -> Error) -> (u32, Error) {
        let made = Cell::new(0);
        let outcome: Result<()> = retry
            .run(Deadline::after(budget), || {
                made.set(made.get() + 1);
                std::future::ready(Err(error()))
            })
            .await;
        (made.get(), outcome.unwrap_err())
    }

    #[tokio::test(start_paused = true)]
    async fn n_retries_are_n_plus_one_tries() {
        for retries in [0, 1, 4] {
            assert_eq!(tries(Retry::times(retries), MINUTE, lost).await.0, retries + 1);
        }
        assert_eq!(tries(Retry::never(), MINUTE, lost).await.0, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_it_is_tried_until_the_deadline_and_not_past_it() {
        let begin = Instant::now();
        let (made, error) = tries(Retry::until_deadline(), MINUTE, lost).await;
        assert!(made > 5, "{made} tries in a minute");
        assert!(error.to_string().contains(&format!("attempts: {made}")), "{error}");
        assert!(begin.elapsed() <= MINUTE);
        assert!(begin.elapsed() + Duration::from_millis(250) >= MINUTE, "gave up after {:?}", begin.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn no_attempt_begins_for_which_there_is_less_time_than_the_last_one_took() {
        for _ in 0..50 {
            let begin = Instant::now();
            let attempt = || async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Err::<(), _>(lost())
            };
            let ended = Retry::until_deadline().run(Deadline::after(MINUTE), attempt).await.unwrap_err();
            assert_eq!(ended.kind(), ErrorKind::Disconnected);
            assert!(begin.elapsed() <= MINUTE, "the last attempt ended after {:?}", begin.elapsed());
            assert!(begin.elapsed() > Duration::from_secs(57), "it gave up after {:?}", begin.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_have_been_executed_or_will_never_work_is_not_repeated() {
        let maybe = || lost().with_executed(Executed::Maybe);
        assert_eq!(tries(Retry::until_deadline(), MINUTE, maybe).await.0, 1);
        let permanent = || Error::new(ErrorKind::Denied, "publish").with_executed(Executed::No);
        assert_eq!(tries(Retry::until_deadline(), MINUTE, permanent).await.0, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_happen_twice_is_repeated_and_never_forgets_that_it_may_have_happened() {
        let run = async |retry: Retry, errors: Vec<Error>| {
            let errors = std::cell::RefCell::new(errors.into_iter());
            let attempt = || std::future::ready(errors.borrow_mut().next().map_or(Ok(()), Err));
            let outcome = retry.run_repeatable(Deadline::after(MINUTE), attempt).await;
            (outcome.map_err(|error| error.executed()), errors.borrow().len())
        };
        let maybe = || lost().with_executed(Executed::Maybe);
        let denied = || Error::new(ErrorKind::Denied, "publish").with_executed(Executed::No);
        let patient = Retry::until_deadline();
        assert_eq!(run(patient, vec![maybe(), lost(), maybe()]).await, (Ok(()), 0));
        assert_eq!(run(patient, vec![maybe(), denied(), lost()]).await, (Err(Executed::Maybe), 1));
        assert_eq!(run(patient, vec![lost(), denied(), lost()]).await, (Err(Executed::No), 1));
        assert_eq!(run(patient, vec![maybe().with_executed(Executed::Yes)]).await, (Err(Executed::Yes), 0));
        assert_eq!(run(Retry::times(1), vec![maybe(), lost(), lost()]).await, (Err(Executed::Maybe), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_ends_it() {
        let made = Cell::new(0);
        let attempt = || {
            made.set(made.get() + 1);
            std::future::ready(if made.get() == 3 { Ok(made.get()) } else { Err(lost()) })
        };
        assert_eq!(Retry::until_deadline().run(Deadline::after(MINUTE), attempt).await.unwrap(), 3);
    }

    #[test]
    fn waits_double_from_the_base_to_the_cap() {
        let retry = Retry::default();
        let longest: Vec<_> = (0..9).map(|n| retry.delay(n, 1.0).as_millis()).collect();
        assert_eq!(longest, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(retry.delay(2, 0.5), Duration::from_millis(200));
        assert_eq!(retry.delay(2, 0.0), Duration::ZERO);
    }

    #[test]
    fn no_number_makes_a_wait_overflow() {
        let retry = Retry::default().with_base(Duration::MAX).with_cap(MINUTE);
        for retries in [0, 31, 32, u32::MAX] {
            for random in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1.0, 2.0] {
                assert!(retry.delay(retries, random) <= MINUTE);
            }
        }
        assert_eq!(retry.delay(0, 1.0), FIRST);
        assert_eq!(retry.with_cap(Duration::MAX).delay(99, 1.0), Duration::MAX);
    }
}
