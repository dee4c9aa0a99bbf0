//! How long to wait before the next attempt. Pure, except for the jitter.
//!
//! Waits are random ("full jitter"), so the clients of a broker that comes back do not connect at the same moment.

use std::time::Duration;

use oslo_messaging::driver::jitter;

use crate::config::AmqpConfig;

/// The first bound of the waits where an operator must change something:
/// a password, a virtual host, a queue of another type. It doubles up to [`MOST_PATIENT`].
const PATIENT: Duration = Duration::from_secs(2);
/// The highest bound of these waits: an operator may take hours, and a corrected broker is found within a minute.
const MOST_PATIENT: Duration = Duration::from_secs(60);
/// The least upper bound of the other waits: without one, a broker that is down would be tried in a busy loop.
/// A lower `reconnect_wait` or `reconnect_wait_max` is raised to it.
const LEAST: Duration = Duration::from_millis(100);
/// The longest wait before another host is tried: short, because callers wait,
/// but long enough that the clients of one node do not all reach the next at once.
const FAILOVER: Duration = Duration::from_millis(250);

/// How long a link, listener or consumer must stay up after a recovery
/// before its next loss starts with the shortest wait again.
pub(crate) const STABLE_AFTER: Duration = Duration::from_secs(30);

/// Which wait comes before the next attempt: it depends on what failed, and on how often.
/// Every wait has a cap, so a count of attempts may grow without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backoff {
    /// After so many attempts that may succeed without help:
    /// a random wait below a bound that doubles, or grows by `reconnect_backoff`.
    ///
    /// The first bound is `reconnect_wait`, the highest `reconnect_wait_max`.
    Exponential(u32),
    /// After so many attempts that need an operator: from half of a bound that doubles up to the bound.
    /// The options of the configuration do not change it: a bound of 2 s at first, and 60 s at most.
    Slow(u32),
    /// Before the first attempt on another host than the lost one.
    /// At most 250 ms, unless `reconnect_delay` asks for more.
    Failover,
}

impl Backoff {
    /// `random` is uniform in `0.0..1.0`, and scales the wait below its bound.
    pub(crate) fn delay(self, config: &AmqpConfig, random: f64) -> Duration {
        match self {
            Self::Exponential(attempts) => {
                let (first, most) = (config.reconnect_wait, config.reconnect_wait_max);
                let ceiling = match config.reconnect_backoff {
                    Some(step) => step.checked_mul(attempts).and_then(|more| first.checked_add(more)),
                    // An overflow means that the bound is past its cap.
                    None => 2_u32.checked_pow(attempts).and_then(|factor| first.checked_mul(factor)),
                };
                let wait = ceiling.unwrap_or(most).min(most).max(LEAST).mul_f64(random);
                wait.max(least_delay(config, random))
            }
            Self::Failover => FAILOVER.mul_f64(random).max(least_delay(config, random)),
            // Never near zero: a rejected login is an entry in the broker's security log, and may lock
            // the account.
            Self::Slow(attempts) => {
                let ceiling = 2_u32.checked_pow(attempts).and_then(|factor| PATIENT.checked_mul(factor));
                ceiling.unwrap_or(MOST_PATIENT).min(MOST_PATIENT).mul_f64(0.5 + random / 2.0)
            }
        }
    }

    /// As [`delay`](Self::delay), with a new random number each time.
    pub(crate) fn random_delay(self, config: &AmqpConfig) -> Duration {
        self.delay(config, jitter())
    }
}

/// The lower bound of every wait but the long ones for an operator:
/// `reconnect_delay`, and a random part of `reconnect_splay` on top.
fn least_delay(config: &AmqpConfig, random: f64) -> Duration {
    config.reconnect_delay.saturating_add(config.reconnect_splay.mul_f64(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_cap_and_only_the_short_ones_may_be_nothing() {
        let config = AmqpConfig::default();
        let longest = |pause: fn(u32) -> Backoff| {
            [0, 1, 2, 31, u32::MAX].map(|attempts| pause(attempts).delay(&config, 1.0).as_millis())
        };
        assert_eq!(longest(Backoff::Exponential), [100, 200, 400, 10_000, 10_000]);
        assert_eq!(longest(Backoff::Slow), [2_000, 4_000, 8_000, 60_000, 60_000]);
        assert_eq!(Backoff::Exponential(9).delay(&config, 0.0), Duration::ZERO);
        assert_eq!(Backoff::Slow(0).delay(&config, 0.0), Duration::from_secs(1));
    }

    #[test]
    fn another_host_is_tried_within_a_quarter_of_a_second_unless_a_delay_is_configured() {
        let waits =
            |config: &AmqpConfig| [0.0, 0.5, 1.0].map(|random| Backoff::Failover.delay(config, random).as_millis());
        assert_eq!(waits(&AmqpConfig::default()), [0, 125, 250]);
        let slow = AmqpConfig { reconnect_wait: Duration::from_secs(5), ..AmqpConfig::default() };
        assert_eq!(waits(&slow), [0, 125, 250]);
        let late = AmqpConfig { reconnect_delay: Duration::from_millis(200), ..AmqpConfig::default() };
        assert_eq!(waits(&late), [200, 200, 250]);
    }

    #[test]
    fn tries_are_apart_whatever_is_configured() {
        let zero = Duration::ZERO;
        for config in [
            AmqpConfig { reconnect_wait: zero, ..AmqpConfig::default() },
            AmqpConfig { reconnect_wait_max: zero, ..AmqpConfig::default() },
            AmqpConfig { reconnect_wait: zero, reconnect_wait_max: zero, ..AmqpConfig::default() },
        ] {
            for attempts in [0, 1, 31, u32::MAX] {
                let middle = Backoff::Exponential(attempts).delay(&config, 0.5);
                assert!(middle >= Duration::from_millis(50), "{middle:?} after {attempts} attempts");
            }
        }
    }

    #[test]
    fn waits_have_the_shape_that_the_options_of_the_reference_give_them() {
        let with = |name: &str, value: &str| AmqpConfig::default().with_option(name, value).unwrap();
        let waits = |config: &AmqpConfig, random| {
            [0, 1, 2, 9].map(|attempts| Backoff::Exponential(attempts).delay(config, random).as_millis())
        };
        // It adds so many seconds to each, instead of doubling it.
        assert_eq!(waits(&with("rabbit_retry_backoff", "2"), 1.0), [100, 2_100, 4_100, 10_000]);
        assert_eq!(waits(&with("rabbit_retry_backoff", "0"), 1.0), [100; 4]);
        assert_eq!(waits(&with("rabbit_interval_max", "1"), 1.0), [100, 200, 400, 1_000]);
        let late = with("kombu_reconnect_delay", "0.3");
        assert_eq!((waits(&late, 0.0), waits(&late, 1.0)), ([300; 4], [300, 300, 400, 10_000]));
        let spread = late.with_option("kombu_reconnect_splay", "0.2").unwrap();
        assert_eq!((waits(&spread, 0.0), waits(&spread, 0.5)), ([300; 4], [400, 400, 400, 5_000]));
        assert_eq!(Backoff::Slow(0).delay(&spread, 0.0), Duration::from_secs(1));
    }
}
