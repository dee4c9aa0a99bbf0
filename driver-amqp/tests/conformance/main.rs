//! The conformance suite on a RabbitMQ node, which `OSLO_TEST_RABBIT_URL` names.

use std::process::ExitCode;
use std::sync::Arc;

use oslo_messaging::{Deadline, Result, Transport, TransportUrl};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use oslo_messaging_conformance::{Budget, Harness, async_trait, ignore_all, main as conform};
use xtask::broker::RABBIT_URL;

/// Every case shares one node, and uses names of its own on it.
struct Rabbit {
    url: TransportUrl,
}

#[async_trait]
impl Harness for Rabbit {
    async fn transport(&self) -> Result<Arc<dyn Transport>> {
        let deadline = Deadline::after(self.budget().arrive);
        Ok(Arc::new(AmqpTransport::connect(&self.url, AmqpConfig::default(), deadline).await?))
    }

    fn budget(&self) -> Budget {
        Budget::default()
    }
}

fn main() -> ExitCode {
    let Ok(text) = std::env::var(RABBIT_URL) else { return ignore_all(&format!("{RABBIT_URL} is not set")) };
    let url = TransportUrl::parse(&text).expect("whoever sets the variable sets a URL");
    conform(move || Rabbit { url: url.clone() }, include_str!("expected.txt"))
}
