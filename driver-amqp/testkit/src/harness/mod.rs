//! A RabbitMQ node as the conformance suite sees it.

pub mod disturbed;
mod profile;
pub mod relayed;

use std::sync::Arc;

use oslo_messaging::config::TransportUrl;
use oslo_messaging::driver::Transport;
use oslo_messaging::{Deadline, Result};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use oslo_messaging_conformance::{Budget, Harness, async_trait};
use xtask::broker::{AttachedNode, RABBIT_URL};
use xtask::profile::Profile;

use profile::{config, driver};

/// Every case and every program share one node, and use names of their own on it.
#[derive(Debug, Clone)]
pub struct Rabbit {
    url: TransportUrl,
    profile: Profile,
    /// What the node is, if it is one that was started for tests.
    broker: Option<String>,
}

impl Rabbit {
    /// The node that the environment names, for transports of this profile, or why there is none.
    pub fn from_environment(profile: Profile) -> std::result::Result<Self, String> {
        let text = std::env::var(RABBIT_URL).map_err(|_| format!("{RABBIT_URL} is not set"))?;
        let url = TransportUrl::parse(&text).expect("the variable holds a URL");
        let broker = AttachedNode::from_env().ok().map(|node| node.broker());
        Ok(Self { url, profile, broker })
    }

    /// The options of its profile.
    pub fn config(&self) -> AmqpConfig {
        config(self.profile)
    }
}

#[async_trait]
impl Harness for Rabbit {
    async fn transport(&self) -> Result<Arc<dyn Transport>> {
        let deadline = Deadline::after(self.budget().arrive);
        Ok(Arc::new(AmqpTransport::connect(&self.url, self.config(), deadline).await?))
    }

    fn budget(&self) -> Budget {
        Budget::default()
    }

    fn driver(&self) -> String {
        driver([self.broker.as_deref(), self.profile.remark()])
    }
}
