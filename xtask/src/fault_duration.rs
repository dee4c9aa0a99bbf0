//! How long a fault of a broker lasts in a test.

use std::env;
use std::time::Duration;

/// The variable that sets how many seconds a freeze or an alarm lasts.
pub const FAULT_SECONDS: &str = "OSLO_TEST_FAULT_SECONDS";

/// The seconds of [`FAULT_SECONDS`], by default `usual`.
///
/// # Panics
/// When the variable holds no number.
#[must_use]
pub fn fault_duration(usual: Duration) -> Duration {
    let seconds = env::var(FAULT_SECONDS).ok();
    seconds.map_or(usual, |seconds| Duration::from_secs(seconds.parse().expect("OSLO_TEST_FAULT_SECONDS is a number")))
}
