//! What a request brings.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a request waits.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// The string that comes back.
#[derive(Debug, Serialize, Deserialize)]
pub struct Text {
    pub s: String,
}
