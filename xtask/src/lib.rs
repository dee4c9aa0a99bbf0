//! What the repository's tasks and its live tests share: a private RabbitMQ node, a Python environment with the
//! reference implementation, and running other programs under a budget.
//!
//! Not published. Everything here blocks; call it from an async test through `spawn_blocking`.

pub mod broker;
pub mod fault_duration;
pub mod process;
pub mod profile;
pub mod setup;

use std::path::Path;

/// Where the workspace lies: the directory above this package's.
#[must_use]
pub fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies one directory below the workspace")
}
