//! One slow handler.

use std::convert::Infallible;
use std::sync::Arc;

use oslo_messaging::{Event, NotificationEndpoint, NotificationListener, Priority, Target};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::child::bus;
use crate::killed::tell;
use testkit::stage::{ARRIVE, Stage, soon, unique, within};

/// Where events are counted, and what the first of them waits for.
struct Handler {
    to: UnboundedSender<u64>,
    gate: Arc<Semaphore>,
}

/// Of 1,001 events the first waits for all the others, in a window of 100.
pub(crate) async fn stops_no_other() {
    let stage = Stage::shared().await;
    let topic = unique("events");
    let bus = bus(&stage.node.url_as("guest", "guest", &stage.vhost)).await;
    let (to, mut heard) = unbounded_channel();
    let gate = Arc::new(Semaphore::new(0));
    let endpoint = NotificationEndpoint::new(Handler { to, gate: Arc::clone(&gate) }).on(
        Priority::Info,
        "*",
        async |handler: Arc<Handler>, event: Event<Value>| {
            let n = event.payload["n"].as_u64().unwrap_or(u64::MAX);
            if n == 0 {
                handler.gate.acquire().await.expect("it is not closed").forget();
            }
            let _ = handler.to.send(n);
            Ok::<_, Infallible>(())
        },
    );
    let builder = NotificationListener::builder(&bus).target(Target::topic(&topic)).endpoint(endpoint);
    let listener = builder.concurrency(50).start(soon()).await.expect("it starts");
    tell(&bus, &topic, 0..1_001).await;
    let mut others = Vec::new();
    while others.len() < 1_000 {
        others.push(within(ARRIVE, "an event", heard.recv()).await.expect("the listener runs"));
    }
    assert!(!others.contains(&0), "it did not wait");
    gate.add_permits(1);
    assert_eq!(within(ARRIVE, "the long one", heard.recv()).await, Some(0));
    listener.shutdown(soon()).await.expect("it ends");
    bus.close(soon()).await.expect("it closes");
}
