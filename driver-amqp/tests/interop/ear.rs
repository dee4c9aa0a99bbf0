//! A Rust listener that keeps what it hears, and a Python one.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::notify::{MessagingSink, NotificationListenerBuilder};
use oslo_messaging::{Bus, Event, NotificationEndpoint, NotificationListener, Notifier, Priority, Target};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::budget::{ARRIVE, soon};
use crate::peer::Peer;

/// What a Rust listener hears, in order.
#[derive(Debug)]
pub(crate) struct Heard(UnboundedReceiver<Event<Value>>);

/// A listener in Python, by its handle.
#[derive(Debug)]
pub(crate) struct PythonListener<'a> {
    peer: &'a Peer,
    handle: Value,
}

/// The settings of a listener to `topic` that keeps every event of every priority.
pub(crate) fn listener(bus: &Bus, topic: &str) -> (NotificationListenerBuilder, Heard) {
    let (to, heard) = unbounded_channel();
    let endpoint = Priority::ALL.into_iter().fold(NotificationEndpoint::new(to), |endpoint, priority| {
        endpoint.on(priority, "*", async |to: Arc<UnboundedSender<Event<Value>>>, event: Event<Value>| {
            // A test that has heard enough listens no more.
            let _ = to.send(event);
            Ok::<_, Infallible>(())
        })
    });
    (NotificationListener::builder(bus).target(Target::topic(topic)).endpoint(endpoint), Heard(heard))
}

/// A listener to `topic` that has started.
pub(crate) async fn started(bus: &Bus, topic: &str) -> (NotificationListener, Heard) {
    let (builder, heard) = listener(bus, topic);
    (builder.start(soon()).await.expect("it starts"), heard)
}

/// A notifier on `topic`.
pub(crate) fn notifier(bus: &Bus, topic: &str) -> Notifier {
    Notifier::from_sink("shop.rust", MessagingSink::new(bus).topics([topic]))
}

impl Heard {
    pub(crate) async fn next(&mut self) -> Event<Value> {
        let event = timeout(ARRIVE, self.0.recv()).await.expect("an event arrives");
        event.expect("the listener runs")
    }

    /// The `n` of as many payloads, in the order they came.
    pub(crate) async fn numbers(&mut self, count: usize) -> Vec<u64> {
        let mut numbers = Vec::with_capacity(count);
        while numbers.len() < count {
            numbers.push(number(&self.next().await.payload));
        }
        numbers
    }

    /// The `n` of what is there already.
    pub(crate) fn so_far(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.0.try_recv().ok()).map(|event| number(&event.payload)).collect()
    }
}

impl<'a> PythonListener<'a> {
    /// Starts one; `options` are those of the peer's command `listen`.
    pub(crate) async fn start(peer: &'a Peer, topic: &str, mut options: Value) -> Self {
        options["do"] = json!("listen");
        options["topics"] = json!([topic]);
        Self { peer, handle: peer.ok(options).await }
    }

    /// What it has kept, once that is `count`.
    pub(crate) async fn heard(&self, count: usize) -> Vec<Value> {
        let heard = self.recorded(count, ARRIVE).await;
        assert!(heard.len() >= count, "{} of {count} were heard: {heard:?}", heard.len());
        heard
    }

    /// The `n` of the payloads it has kept, once they are `count` or `patience` is over.
    pub(crate) async fn kept(&self, count: usize, patience: Duration) -> Vec<u64> {
        self.recorded(count, patience).await.iter().map(|heard| number(&heard["payload"])).collect()
    }

    async fn recorded(&self, count: usize, patience: Duration) -> Vec<Value> {
        let recorded = json!({
            "do": "recorded", "handle": self.handle, "count": count, "timeout": patience.as_secs_f64(),
        });
        match self.peer.ok(recorded).await {
            Value::Array(heard) => heard,
            other => panic!("a list is recorded, and not {other}"),
        }
    }

    /// The `n` of the payloads it has kept, once they are `count`.
    pub(crate) async fn numbers(&self, count: usize) -> Vec<u64> {
        self.heard(count).await.iter().map(|heard| number(&heard["payload"])).collect()
    }

    pub(crate) async fn stop(self) {
        self.peer.ok(json!({"do": "stop", "handle": self.handle})).await;
    }
}

/// Payloads of these numbers.
pub(crate) fn payloads(numbers: std::ops::Range<u64>) -> Vec<Value> {
    numbers.map(|n| json!({ "n": n })).collect()
}

pub(crate) fn number(payload: &Value) -> u64 {
    payload["n"].as_u64().expect("a payload has a number")
}
