//! A transport to a broker that limits deliveries, refuses dead letters, and takes only small headers.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use oslo_messaging::driver::{
    Address, Capabilities, DeliveryCount, IncomingMessage, Listener, Message, PublishOptions, QueueCounts,
    Subscription, Transport,
};
use oslo_messaging::{Deadline, Error, ErrorKind, Executed, Health, Result};
use oslo_messaging_fake::{FakeBroker, FakeTransport};
use tokio::sync::watch;

/// A header of a message that came back once before the listener was there.
pub(crate) const CAME_BACK: &str = "came-back";

/// What the broker refuses, and when.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// How often a message may come back; the broker drops it when it does so once more.
    pub(crate) limit: Option<u64>,
    /// Whether durable queues of ours may not be declared.
    pub(crate) denies_dead: AtomicBool,
    /// Whether nothing may be published to a queue by its name.
    pub(crate) denies_direct: AtomicBool,
    /// How many bytes of headers a message may have.
    pub(crate) header_bytes: Option<usize>,
    /// How often each message came back.
    pub(crate) came_back: Mutex<HashMap<String, u64>>,
    /// The ids of what the broker has dropped.
    pub(crate) dropped: Mutex<Vec<String>>,
    /// How many messages a poll waits for, if it may take as many. Zero stands for one.
    pub(crate) portion: usize,
}

#[derive(Debug)]
pub(crate) struct Strict {
    inner: FakeTransport,
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Limited {
    inner: Box<dyn Listener>,
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Counted {
    inner: Box<dyn IncomingMessage>,
    message: Message,
}

impl Strict {
    pub(crate) fn to(broker: &FakeBroker, rules: &Arc<Rules>) -> Self {
        Self { inner: broker.transport(), rules: Arc::clone(rules) }
    }
}

impl Rules {
    /// The ids of the messages that the broker has dropped.
    pub(crate) fn dropped(&self) -> Vec<String> {
        self.dropped.lock().unwrap().clone()
    }

    /// `message` as it is handed over, unless it is dropped for good.
    fn count(&self, message: &dyn IncomingMessage) -> Option<Message> {
        let mut counted = message.message().clone();
        if !message.redelivered() && !counted.headers.contains_key(CAME_BACK) {
            return Some(counted);
        }
        let failed = {
            let mut came_back = self.came_back.lock().unwrap();
            let failed = came_back.entry(counted.id.clone()).or_default();
            *failed += 1;
            *failed
        };
        if self.limit.is_some_and(|limit| failed > limit) {
            self.dropped.lock().unwrap().push(counted.id);
            return None;
        }
        counted = counted.with_delivery_count(DeliveryCount::new(failed, self.limit));
        Some(counted)
    }
}

#[async_trait]
impl Transport for Strict {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.inner.health()
    }

    async fn publish(&self, to: &Address, message: Message, options: &PublishOptions) -> Result<()> {
        let denied = match to {
            Address::Queue { .. } => &self.rules.denies_dead,
            Address::Direct { .. } => &self.rules.denies_direct,
            _ => &AtomicBool::new(false),
        };
        if denied.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Denied, "publish")
                .with_executed(Executed::No)
                .with_context("broker", "ACCESS_REFUSED"));
        }
        let bytes: usize = message.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if self.rules.header_bytes.is_some_and(|most| bytes > most) {
            return Err(Error::new(ErrorKind::TooLarge, "publish")
                .with_executed(Executed::No)
                .with_context("bytes", bytes));
        }
        self.inner.publish(to, message, options).await
    }

    async fn subscribe(&self, subscription: &Subscription, deadline: Deadline) -> Result<Box<dyn Listener>> {
        let inner = self.inner.subscribe(subscription, deadline).await?;
        Ok(Box::new(Limited { inner, rules: Arc::clone(&self.rules) }))
    }

    async fn inspect(&self, address: &Address, deadline: Deadline) -> Result<Option<QueueCounts>> {
        self.inner.inspect(address, deadline).await
    }

    async fn close(&self, deadline: Deadline) -> Result<()> {
        self.inner.close(deadline).await
    }
}

impl Limited {
    /// How many messages a poll that has `kept` takes next, if it has not enough.
    fn missing(&self, kept: usize, max: NonZeroUsize) -> Option<NonZeroUsize> {
        let enough = self.rules.portion.clamp(1, max.get());
        (kept < enough).then(|| NonZeroUsize::new(max.get() - kept)).flatten()
    }
}

#[async_trait]
impl Listener for Limited {
    fn address(&self) -> &Address {
        self.inner.address()
    }

    async fn poll(&mut self, max: NonZeroUsize) -> Result<Option<Vec<Box<dyn IncomingMessage>>>> {
        let mut kept: Vec<Box<dyn IncomingMessage>> = Vec::new();
        while let Some(missing) = self.missing(kept.len(), max) {
            let Some(polled) = self.inner.poll(missing).await? else { return Ok(None) };
            for inner in polled {
                match self.rules.count(&*inner) {
                    Some(message) => kept.push(Box::new(Counted { inner, message })),
                    None => inner.acknowledge().await?,
                }
            }
        }
        Ok(Some(kept))
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
