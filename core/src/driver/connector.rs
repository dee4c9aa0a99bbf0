//! What a driver exports, so that a URL chooses it at run time.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::transport::Transport;
use crate::url::TransportUrl;
use crate::{Deadline, Result};

/// Makes the [`Transport`] of a URL; what a driver crate exports for a [`Registry`](crate::Registry).
#[async_trait]
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// The schemes it serves, in lower case and without `+`, such as `["rabbit", "kombu"]`.
    fn schemes(&self) -> &[&str];

    /// Connects to the bus that `url` names, with the options of its query.
    ///
    /// # Errors
    /// `Config` for an option it does not know or a value it cannot read, `Denied`,
    /// `Disconnected`, `Topology`, `Timeout`.
    ///
    /// # Cancellation
    /// A dropped future leaves no connection behind.
    async fn connect(&self, url: &TransportUrl, deadline: Deadline) -> Result<Arc<dyn Transport>>;
}
