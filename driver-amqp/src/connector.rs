//! Connects URLs for a [`Registry`](oslo_messaging::Registry).

use std::sync::Arc;

use async_trait::async_trait;
use oslo_messaging::config::TransportUrl;
use oslo_messaging::driver::{Connector, Transport};
use oslo_messaging::{Deadline, Result};

use crate::{AmqpConfig, AmqpTransport};

/// Connects URLs of the schemes `rabbit`, `kombu`, `amqp` and `amqps`; only the last one implies TLS.
#[derive(Debug, Clone, Default)]
pub struct AmqpConnector {
    config: AmqpConfig,
}

impl AmqpConnector {
    /// A connector with these settings. The query of a URL overrides them.
    #[must_use]
    pub fn new(config: AmqpConfig) -> Self {
        Self { config }
    }
}

#[async_trait]
impl Connector for AmqpConnector {
    fn schemes(&self) -> &[&str] {
        &["rabbit", "kombu", "amqp", "amqps"]
    }

    async fn connect(&self, url: &TransportUrl, deadline: Deadline) -> Result<Arc<dyn Transport>> {
        Ok(Arc::new(AmqpTransport::connect(url, self.config.clone(), deadline).await?))
    }
}
