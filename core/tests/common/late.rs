//! A transport whose broker is on its way back when it is first asked.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use oslo_messaging::driver::{Address, Capabilities, Listener, Message, PublishOptions, Subscription, Transport};
use oslo_messaging::{Deadline, Error, ErrorKind, Executed, Health, Result};
use oslo_messaging_fake::{FakeBroker, FakeTransport};
use tokio::sync::watch;

/// Refuses the first subscription, in a way that may pass.
#[derive(Debug)]
pub(crate) struct Late {
    inner: FakeTransport,
    is_back: AtomicBool,
}

impl Late {
    pub(crate) fn to(broker: &FakeBroker) -> Self {
        Self { inner: broker.transport(), is_back: AtomicBool::new(false) }
    }
}

#[async_trait]
impl Transport for Late {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.inner.health()
    }

    async fn publish(&self, to: &Address, message: Message, options: &PublishOptions) -> Result<()> {
        self.inner.publish(to, message, options).await
    }

    async fn subscribe(&self, subscription: &Subscription, deadline: Deadline) -> Result<Box<dyn Listener>> {
        if self.is_back.swap(true, Ordering::Relaxed) {
            return self.inner.subscribe(subscription, deadline).await;
        }
        // What a driver says of a subscription that it has sent, and that it does not know the end of.
        Err(Error::new(ErrorKind::Disconnected, "subscribe").with_executed(Executed::Maybe).transient())
    }

    async fn inspect(
        &self,
        address: &Address,
        deadline: Deadline,
    ) -> Result<Option<oslo_messaging::driver::QueueCounts>> {
        self.inner.inspect(address, deadline).await
    }

    async fn close(&self, deadline: Deadline) -> Result<()> {
        self.inner.close(deadline).await
    }
}
