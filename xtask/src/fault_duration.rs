//! How long what a test does to a broker lasts.

use std::env;
use std::time::Duration;

/// The variable that says how many seconds a freeze or an alarm lasts, where the usual time is short.
pub const FAULT_SECONDS: &str = "OSLO_TEST_FAULT_SECONDS";

/// As long as is `usual`, or as [`FAULT_SECONDS`] says.
///
/// # Panics
/// When that is no number.
#[must_use]
pub fn lasting(usual: Duration) -> Duration {
    let said = env::var(FAULT_SECONDS).ok();
    said.map_or(usual, |said| Duration::from_secs(said.parse().expect("OSLO_TEST_FAULT_SECONDS is a number")))
}
