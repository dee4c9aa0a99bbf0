//! Listeners that end without a stop.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use oslo_messaging::notify::{MessagingSink, NotificationListenerBuilder};
use oslo_messaging::{Bus, Context, Event, NotificationEndpoint, NotificationListener, Notifier, Priority, Target};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::child::{Task, bus};
use testkit::stage::{ARRIVE, Stage, soon, unique, within};

const EVENTS: u64 = 1_000;

pub(crate) async fn in_mid_batch() {
    // One batch of 50 at work and one in hand: a window of 100.
    killed(50, 100 + 50).await;
}

pub(crate) async fn in_mid_event() {
    // 25 handlers: a window of 50.
    killed(0, 50 + 25).await;
}

/// A listener is killed when it has handled 325 events, in the middle of what it was doing. Another one handles what it
/// did not, and at most `most` events a second time, each of which says so.
async fn killed(batch: usize, most: usize) {
    let stage = Stage::shared().await;
    let (url, topic) = (stage.node.url_as("guest", "guest", &stage.vhost), unique("events"));
    let bus = bus(&url).await;
    tell(&bus, &topic, 0..EVENTS).await;

    let mut child = Task { url, topic: topic.clone(), events: 325, batch }.spawn();
    let before = child.handled(325).await;
    child.kill().await;

    let (builder, mut heard) = listener(&bus, &topic);
    let listener = builder.start(soon()).await.expect("it starts");
    let mut missing: BTreeSet<u64> = (0..EVENTS).collect();
    for n in &before {
        assert!(missing.remove(n), "{n} was handled twice by one listener");
    }
    let mut twice = Vec::new();
    while !missing.is_empty() {
        let (n, redelivered) = next(&mut heard).await;
        if !missing.remove(&n) {
            assert!(redelivered, "{n} came a second time and did not say so");
            twice.push(n);
        }
    }
    listener.shutdown(soon()).await.expect("it ends");
    assert!(twice.len() <= most, "{} events were handled twice: {twice:?}", twice.len());
    bus.close(soon()).await.expect("it closes");
}

/// One of two listeners of a pool is dropped without a stop, in the middle of its work.
pub(crate) async fn dropped() {
    let stage = Stage::shared().await;
    let (url, topic) = (stage.node.url_as("guest", "guest", &stage.vhost), unique("events"));
    let (bus, pool) = (bus(&url).await, unique("pool"));
    let holding = NotificationEndpoint::new(()).on(Priority::Info, "*", async |_: Arc<()>, _: Event<Value>| {
        std::future::pending::<Result<(), Infallible>>().await
    });
    let holding = NotificationListener::builder(&bus).target(Target::topic(&topic)).endpoint(holding).pool(&pool);
    let holding = holding.start(soon()).await.expect("it starts");
    let (builder, mut heard) = listener(&bus, &topic);
    let staying = builder.pool(&pool).start(soon()).await.expect("it starts");
    tell(&bus, &topic, 0..100).await;
    drop(holding);
    let mut missing: BTreeSet<u64> = (0..100).collect();
    while !missing.is_empty() {
        let (n, _) = next(&mut heard).await;
        assert!(missing.remove(&n), "{n} was handled twice");
    }
    staying.shutdown(soon()).await.expect("it ends");
    bus.close(soon()).await.expect("it closes");
}

/// Publishes events of these numbers.
pub(crate) async fn tell(bus: &Bus, topic: &str, numbers: std::ops::Range<u64>) {
    let notifier = Notifier::from_sink("shop.host-1", MessagingSink::new(bus).topics([topic]));
    for n in numbers {
        notifier.info(&Context::new(), "order.created", &json!({ "n": n })).await.expect("a confirm");
    }
}

/// The settings of a listener that keeps the number of each event, and whether it was redelivered.
pub(crate) fn listener(bus: &Bus, topic: &str) -> (NotificationListenerBuilder, UnboundedReceiver<(u64, bool)>) {
    let (to, heard) = unbounded_channel();
    let endpoint = NotificationEndpoint::new(to).on(
        Priority::Info,
        "*",
        async |to: Arc<UnboundedSender<(u64, bool)>>, event: Event<Value>| {
            let _ = to.send((event.payload["n"].as_u64().unwrap_or(u64::MAX), event.redelivered));
            Ok::<_, Infallible>(())
        },
    );
    (NotificationListener::builder(bus).target(Target::topic(topic)).endpoint(endpoint), heard)
}

pub(crate) async fn next(heard: &mut UnboundedReceiver<(u64, bool)>) -> (u64, bool) {
    within(ARRIVE, "the next event", heard.recv()).await.expect("the listener runs")
}
