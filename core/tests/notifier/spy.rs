//! A transport that records what was published, and that can be reconnected.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use oslo_messaging::driver::{Address, Capabilities, Listener, Message, PublishOptions, Subscription, Transport};
use oslo_messaging::wire::{Envelope, Format};
use oslo_messaging::{Bus, Deadline, ErrorKind, Health, Result};
use oslo_messaging_fake::{FakeBroker, FakeTransport};
use serde_json::{Map, Value};
use tokio::sync::watch;

/// One publish, as the driver got it.
#[derive(Debug, Clone)]
pub(crate) struct Publish {
    pub(crate) to: Address,
    pub(crate) message: Message,
    pub(crate) options: PublishOptions,
}

#[derive(Debug)]
pub(crate) struct Spy {
    transport: Mutex<Arc<FakeTransport>>,
    published: Mutex<Vec<Publish>>,
}

/// A bus on `broker`, and the spy in it.
pub(crate) fn bus(broker: &FakeBroker) -> (Bus, Arc<Spy>) {
    let spy = Arc::new(Spy { transport: Mutex::new(Arc::new(broker.transport())), published: Mutex::default() });
    (Bus::new(Arc::clone(&spy)), spy)
}

impl Spy {
    pub(crate) fn published(&self) -> Vec<Publish> {
        self.published.lock().unwrap().clone()
    }

    /// Makes a new connection, as a driver does after it lost one.
    pub(crate) fn reconnect(&self, broker: &FakeBroker) {
        *self.transport.lock().unwrap() = Arc::new(broker.transport());
    }

    pub(crate) fn transport(&self) -> Arc<FakeTransport> {
        Arc::clone(&self.transport.lock().unwrap())
    }
}

impl Publish {
    /// Exchange and routing key.
    pub(crate) fn route(&self) -> (String, String) {
        (self.to.exchange().name, self.to.routing_key())
    }

    pub(crate) fn format(&self) -> Format {
        Envelope::open(&self.message).unwrap().format()
    }

    /// The fields of the content in their order.
    pub(crate) fn fields(&self) -> Vec<(String, Value)> {
        fields(&self.message)
    }

    pub(crate) fn content(&self) -> Map<String, Value> {
        self.fields().into_iter().collect()
    }
}

pub(crate) fn fields(message: &Message) -> Vec<(String, Value)> {
    let fields = Envelope::open(message).unwrap().fields().unwrap();
    fields.into_iter().map(|(name, value)| (name, value.decode().unwrap())).collect()
}

/// `text` with every hexadecimal digit as `x`.
pub(crate) fn shape(text: &Value) -> String {
    text.as_str().unwrap().replace(|c: char| c.is_ascii_hexdigit(), "x")
}

#[async_trait]
impl Transport for Spy {
    fn capabilities(&self) -> Capabilities {
        self.transport().capabilities()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.transport().health()
    }

    async fn publish(&self, to: &Address, message: Message, options: &PublishOptions) -> Result<()> {
        let publish = Publish { to: to.clone(), message: message.clone(), options: *options };
        self.published.lock().unwrap().push(publish);
        let published = self.transport().publish(to, message, options).await;
        // A fake connection that is cut stays dead; this transport gets another.
        published.map_err(|error| if error.kind() == ErrorKind::Disconnected { error.transient() } else { error })
    }

    async fn subscribe(&self, subscription: &Subscription, deadline: Deadline) -> Result<Box<dyn Listener>> {
        self.transport().subscribe(subscription, deadline).await
    }

    async fn inspect(
        &self,
        address: &Address,
        deadline: Deadline,
    ) -> Result<Option<oslo_messaging::driver::QueueCounts>> {
        self.transport().inspect(address, deadline).await
    }

    async fn close(&self, deadline: Deadline) -> Result<()> {
        self.transport().close(deadline).await
    }
}
