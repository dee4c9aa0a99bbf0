//! The one source of randomness in waits, for core and for drivers.

use uuid::Uuid;

/// A random share of a wait, uniform in `0.0..1.0`.
///
/// A driver multiplies the longest wait of an attempt by it ("full jitter"), so that clients that lost the same broker
/// do not connect to it at the same moment.
///
/// ```
/// use std::time::Duration;
///
/// use oslo_messaging::driver::jitter;
///
/// let longest = Duration::from_secs(10);
/// assert!(longest.mul_f64(jitter()) < longest);
/// ```
#[must_use]
pub fn jitter() -> f64 {
    // A random UUID is the only source of randomness here; its upper 32 bits hold no version or variant field.
    let bits = u32::try_from(Uuid::new_v4().as_u128() >> 96).expect("the upper 32 of 128 bits fit into 32");
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}
