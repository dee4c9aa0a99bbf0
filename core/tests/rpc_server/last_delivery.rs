//! Servers that settle after the answer, on queues that count failed deliveries and have a limit.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use oslo_messaging::driver::{
    Address, Capabilities, DeliveryCount, IncomingMessage, Listener, Message, PublishOptions, QueueCounts,
    Subscription, Transport,
};
use oslo_messaging::{Bus, Context, Deadline, Executed, Health, Result};
use oslo_messaging_fake::{FakeBroker, FakeTransport};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::common::{Shop, builder, soon};
use crate::support::client;

/// A transport whose queues say how often each message has failed.
#[derive(Debug)]
struct Counting {
    inner: FakeTransport,
    count: DeliveryCount,
}

#[derive(Debug)]
struct CountingListener {
    inner: Box<dyn Listener>,
    count: DeliveryCount,
}

#[derive(Debug)]
struct Counted {
    inner: Box<dyn IncomingMessage>,
    message: Message,
}

impl Counting {
    fn bus(broker: &FakeBroker, failed: u64, limit: u64) -> Bus {
        let count = DeliveryCount::new(failed, Some(limit));
        Bus::new(Self { inner: broker.transport(), count })
    }
}

#[async_trait]
impl Transport for Counting {
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
        let inner = self.inner.subscribe(subscription, deadline).await?;
        Ok(Box::new(CountingListener { inner, count: self.count }))
    }

    async fn inspect(&self, address: &Address, deadline: Deadline) -> Result<Option<QueueCounts>> {
        self.inner.inspect(address, deadline).await
    }

    async fn close(&self, deadline: Deadline) -> Result<()> {
        self.inner.close(deadline).await
    }
}

#[async_trait]
impl Listener for CountingListener {
    fn address(&self) -> &Address {
        self.inner.address()
    }

    async fn poll(&mut self, max: NonZeroUsize) -> Result<Option<Vec<Box<dyn IncomingMessage>>>> {
        let count = |inner: Box<dyn IncomingMessage>| {
            let message = inner.message().clone().with_delivery_count(self.count);
            Box::new(Counted { inner, message }) as Box<dyn IncomingMessage>
        };
        Ok(self.inner.poll(max).await?.map(|messages| messages.into_iter().map(count).collect()))
    }

    async fn stop(&mut self, deadline: Deadline) -> Result<()> {
        self.inner.stop(deadline).await
    }

    async fn close(self: Box<Self>, deadline: Deadline) -> Result<()> {
        self.inner.close(deadline).await
    }
}

#[async_trait]
impl IncomingMessage for Counted {
    fn message(&self) -> &Message {
        &self.message
    }

    fn redelivered(&self) -> bool {
        self.inner.redelivered()
    }

    async fn acknowledge(self: Box<Self>) -> Result<()> {
        self.inner.acknowledge().await
    }

    async fn requeue(self: Box<Self>) -> Result<()> {
        self.inner.requeue().await
    }

    async fn reject(self: Box<Self>) -> Result<()> {
        self.inner.reject().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_cast_on_its_last_delivery_is_set_aside_and_a_call_is_answered() {
    let broker = FakeBroker::new();
    let (bus, other) = (Counting::bus(&broker, 20, 20), Bus::new(broker.transport()));
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).at_least_once().start(soon()).await.unwrap();
    client(&other).cast(&Context::new(), "note", &json!({"arg": 1})).await.unwrap();
    let error = client(&other).call::<Value>(&Context::new(), "note", &json!({"arg": 2})).await.unwrap_err();
    assert_eq!((error.remote().unwrap().class(), error.executed()), ("RequestFailed", Executed::Maybe));
    assert!(error.to_string().contains("delivered 20 times"), "{error}");
    server.shutdown(soon()).await.unwrap();
    assert!(shop.logged().is_empty());
    assert_eq!((broker.queue("shop").unwrap().ready, broker.queue("shop.dead").unwrap().ready), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_settles_before_handover_runs_a_request_whatever_its_count() {
    let broker = FakeBroker::new();
    let bus = Counting::bus(&broker, 20, 20);
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).start(soon()).await.unwrap();
    let _: Value =
        client(&Bus::new(broker.transport())).call(&Context::new(), "note", &json!({"arg": 1})).await.unwrap();
    assert_eq!(shop.logged().len(), 1);
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn requests_that_failed_before_run_one_at_a_time_and_each_of_them_runs() {
    const REQUESTS: usize = 40;
    let broker = FakeBroker::new();
    let (bus, other) = (Counting::bus(&broker, 1, 20), Bus::new(broker.transport()));
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).concurrency(8).at_least_once().start(soon()).await.unwrap();
    for number in 0..REQUESTS {
        client(&other).cast(&Context::new(), "gated", &json!({ "arg": number })).await.unwrap();
    }
    for run in 1..=REQUESTS {
        shop.entered(1).await;
        tokio::task::yield_now().await;
        assert_eq!(shop.logged().len(), run, "another one has begun beside it");
        shop.release.add_permits(1);
    }
    server.shutdown(soon()).await.unwrap();
    let ran: BTreeSet<u64> = shop.logged().iter().filter_map(Value::as_u64).collect();
    assert_eq!(ran.len(), REQUESTS);
    broker.assert_idle();
}
