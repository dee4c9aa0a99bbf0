//! Connects URLs for a [`Registry`](oslo_messaging::Registry).
//!
//! The crate does not register itself; an application adds the connector to its registry.

use std::sync::Arc;

use async_trait::async_trait;
use oslo_messaging::config::TransportUrl;
use oslo_messaging::driver::{Connector, Transport};
use oslo_messaging::{Deadline, Result};

use crate::{AmqpConfig, AmqpTransport};

/// Connects URLs of the schemes `rabbit`, `kombu`, `amqp` and `amqps`; only the last one implies TLS.
/// A suffix behind `+` is checked by the connect, not here.
/// One connector serves any number of URLs; each connect gets a transport of its own.
#[derive(Debug, Clone, Default)]
pub struct AmqpConnector {
    /// Cloned for each connect.
    config: AmqpConfig,
}

impl AmqpConnector {
    /// A connector with these settings. The query of a URL overrides them.
    /// Nothing is checked here: an unusable setting is an error of the connect.
    #[must_use]
    pub fn new(config: AmqpConfig) -> Self {
        Self { config }
    }
}

#[async_trait]
impl Connector for AmqpConnector {
    /// A scheme with a suffix, such as `kombu+amqp`, is found by its part before the `+`.
    fn schemes(&self) -> &[&str] {
        &["rabbit", "kombu", "amqp", "amqps"]
    }

    /// Each call opens a transport of its own, with two connections and more when listeners need more channels.
    ///
    /// Fails as `AmqpTransport::connect` does.
    async fn connect(&self, url: &TransportUrl, deadline: Deadline) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(AmqpTransport::connect(url, self.config.clone(), deadline).await?))
    }
}
