//! A RabbitMQ node as the conformance suite sees it.

use std::sync::Arc;

use oslo_messaging::{Deadline, Result, Transport, TransportUrl};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use oslo_messaging_conformance::{Budget, Harness, async_trait};
use xtask::broker::{AttachedNode, RABBIT_URL};

/// Every case and every program share one node, and use names of their own on it.
#[derive(Debug, Clone)]
pub(crate) struct Rabbit {
    url: TransportUrl,
    config: AmqpConfig,
    /// What the node is, if it is one that was started for tests.
    broker: Option<String>,
}

impl Rabbit {
    /// The node that the environment names, for transports of these settings, or why there is none.
    pub(crate) fn from_environment(config: AmqpConfig) -> std::result::Result<Self, String> {
        let text = std::env::var(RABBIT_URL).map_err(|_| format!("{RABBIT_URL} is not set"))?;
        let url = TransportUrl::parse(&text).expect("whoever sets the variable sets a URL");
        let broker = AttachedNode::from_env().ok().map(|node| node.broker());
        Ok(Self { url, config, broker })
    }
}

#[async_trait]
impl Harness for Rabbit {
    async fn transport(&self) -> Result<Arc<dyn Transport>> {
        let deadline = Deadline::after(self.budget().arrive);
        Ok(Arc::new(AmqpTransport::connect(&self.url, self.config.clone(), deadline).await?))
    }

    fn budget(&self) -> Budget {
        Budget::default()
    }

    fn driver(&self) -> String {
        let queues = self.config.quorum_queues.then(|| "quorum queues".to_owned());
        let parts = [Some(env!("CARGO_PKG_NAME").to_owned()), self.broker.clone(), queues];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}
