//! How long the tests wait, in both directions of waiting.

use std::time::Duration;

use oslo_messaging::Deadline;

/// What must come. Waiting ends early, so this is generous.
pub(crate) const ARRIVE: Duration = Duration::from_secs(30);

/// By when what must come has to be there.
pub(crate) fn soon() -> Deadline {
    Deadline::after(ARRIVE)
}

/// Silence that must hold. It costs its whole length, so this is short: a bit more than one heartbeat of a call that is
/// monitored every [`MONITOR`].
const QUIET: Duration = Duration::from_millis(1_300);

/// How long a monitored call may be silent. Servers send a heartbeat every half of it; those in Python count whole
/// seconds, and send none if that is less than one.
pub(crate) const MONITOR: Duration = Duration::from_secs(2);

/// Asserts that `count` does not change.
///
/// # Panics
/// As soon as it does not.
pub(crate) async fn stays_quiet(count: impl Fn() -> u64) {
    let before = count();
    let quiet = Deadline::after(QUIET);
    while !quiet.remaining().is_zero() {
        assert_eq!(count(), before, "nothing more was to happen");
        tokio::time::sleep(QUIET / 20).await;
    }
    assert_eq!(count(), before, "nothing more was to happen");
}
