//! Arguments that a method got later, and that are left out while they equal their default.

use std::sync::atomic::{AtomicBool, Ordering};

use metrics::counter;
use tracing::warn;

use super::signature::OptionalArgument;
use crate::RpcClient;

/// Arguments of one method that were dropped because of the version cap.
///
/// A server below the cap would refuse them; the author of the method marked them `below = "drop"`.
#[derive(Debug)]
pub struct DroppedArguments {
    /// Its name on the wire.
    method: &'static str,
    /// One line for a method: an upgrade would repeat it with every call.
    logged: AtomicBool,
}

impl DroppedArguments {
    /// None yet.
    #[must_use]
    pub const fn new(method: &'static str) -> Self {
        Self { method, logged: AtomicBool::new(false) }
    }

    /// Puts the default in the place of `value` if it is another and `since` is over the client's version cap.
    ///
    /// A cap that is not a version changes nothing, so that the call fails with it.
    pub fn drop_over_cap<T: OptionalArgument>(
        &self,
        client: &RpcClient,
        argument: &'static str,
        since: &'static str,
        value: &mut T,
        default: fn() -> T,
    ) {
        if client.can_send_version(Some(since)).unwrap_or(true) || is_default(value, default) {
            return;
        }
        *value = default();
        counter!("oslo_messaging_arguments_dropped_total").increment(1);
        if !self.logged.swap(true, Ordering::Relaxed) {
            let method = self.method;
            warn!(method, argument, since, "an argument was dropped: the version cap is below it; not logged again");
        }
    }
}

/// Whether `value` is what a server takes for an argument that is left out.
pub fn is_default<T: OptionalArgument>(value: &T, default: fn() -> T) -> bool {
    *value == default()
}
