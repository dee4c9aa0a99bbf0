//! Growing waits, computed without a clock and without randomness.

use std::time::Duration;

/// Waits that grow by a constant factor, from a first one up to a longest one. Without randomness:
/// [`Retry`](crate::Retry) adds its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backoff {
    first: Duration,
    factor: u32,
    longest: Duration,
}

impl Backoff {
    /// `first`, then twice as long each time, up to `longest`.
    pub(crate) const fn doubling(first: Duration, longest: Duration) -> Self {
        Self::growing(first, 2, longest)
    }

    /// `first`, then `factor` times as long each time, up to `longest`.
    pub(crate) const fn growing(first: Duration, factor: u32, longest: Duration) -> Self {
        Self { first, factor, longest }
    }

    /// After `earlier` earlier waits: `first * factor^earlier`, at most `longest`. What overflows is `longest`.
    pub(crate) fn wait(&self, earlier: u32) -> Duration {
        let factor = self.factor.checked_pow(earlier);
        factor.and_then(|factor| self.first.checked_mul(factor)).unwrap_or(self.longest).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_the_first_to_the_longest() {
        let seconds = |backoff: Backoff| [0, 1, 2, 3, 31, 32, u32::MAX].map(|earlier| backoff.wait(earlier).as_secs());
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(5));
        assert_eq!(seconds(Backoff::doubling(first, longest)), [1, 2, 4, 5, 5, 5, 5]);
        assert_eq!(seconds(Backoff::growing(first, 4, longest)), [1, 4, 5, 5, 5, 5, 5]);
    }
}
