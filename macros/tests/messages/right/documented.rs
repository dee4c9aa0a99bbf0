//! Every visible item of the macro has documentation, and no lint finds its code.

#![deny(missing_docs, missing_debug_implementations, warnings, clippy::pedantic)]

use oslo_messaging::{Context, Failure, service};

/// Machines.
#[service(namespace = "base", version = "1.3")]
pub trait Compute {
    /// Whether it is up.
    async fn up(&self, context: Context, #[serde(default)] #[rpc(since = "1.1", below = "drop")] soon: bool) -> Result<bool, Failure>;
    /// Removes what is not needed.
    #[rpc(cast)]
    async fn tidy(&self, context: Context) -> Result<(), Failure>;
}

fn main() {}
