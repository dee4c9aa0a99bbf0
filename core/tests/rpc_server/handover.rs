//! What a driver has acknowledged, and not handed over yet, when a server stops.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use oslo_messaging::driver::{
    Address, Capabilities, IncomingMessage, Listener, Message, PublishOptions, Subscription, Transport,
};
use oslo_messaging::{Bus, Context, Deadline, Health, Result};
use oslo_messaging_fake::{FakeBroker, FakeTransport};
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::common::{Shop, builder, soon};
use crate::support::client;

/// How long an acknowledgement takes to be written.
const WRITING: Duration = Duration::from_millis(20);

/// A transport whose listeners hand over what they have acknowledged a little later.
#[derive(Debug)]
struct Writing {
    inner: FakeTransport,
    acknowledged: Arc<Notify>,
}

#[derive(Debug)]
struct WritingListener {
    inner: Box<dyn Listener>,
    acknowledged: Arc<Notify>,
    batch: Option<Vec<Box<dyn IncomingMessage>>>,
}

#[async_trait]
impl Transport for Writing {
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
        let (inner, acknowledged) =
            (self.inner.subscribe(subscription, deadline).await?, Arc::clone(&self.acknowledged));
        Ok(Box::new(WritingListener { inner, acknowledged, batch: None }))
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

#[async_trait]
impl Listener for WritingListener {
    fn address(&self) -> &Address {
        self.inner.address()
    }

    async fn poll(&mut self, max: NonZeroUsize) -> Result<Option<Vec<Box<dyn IncomingMessage>>>> {
        if self.batch.is_none() {
            self.batch = self.inner.poll(max).await?;
            self.acknowledged.notify_one();
        }
        sleep(WRITING).await;
        Ok(self.batch.take())
    }

    async fn stop(&mut self, deadline: Deadline) -> Result<()> {
        self.inner.stop(deadline).await
    }

    async fn close(self: Box<Self>, deadline: Deadline) -> Result<()> {
        self.inner.close(deadline).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_runs_although_the_stop_has_no_time() {
    let acknowledged = Arc::new(Notify::new());
    let transport = Writing { inner: FakeBroker::new().transport(), acknowledged: Arc::clone(&acknowledged) };
    let (bus, shop) = (Bus::new(transport), Arc::new(Shop::default()));
    let server = builder(&bus, &shop).start(soon()).await.unwrap();
    client(&bus).cast(&Context::new(), "note", &json!({"arg": 1})).await.unwrap();
    acknowledged.notified().await;
    // It may say that it has not stopped in time, and goes on stopping.
    let _ = server.stop(Deadline::after(Duration::ZERO)).await;
    server.shutdown(soon()).await.unwrap();
    assert_eq!(shop.logged(), [json!(1)]);
}
