//! One handler that takes its time.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oslo_messaging::{Event, NotificationEndpoint, NotificationListener, Priority, Target};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::child::bus;
use crate::killed::tell;
use crate::stage::{ARRIVE, Stage, soon, unique, within};

/// How long it takes: many times what all the others do.
const LONG: Duration = Duration::from_secs(20);

/// Of 1,001 events the first takes 20 s, in a window of 100: the others are all handled meanwhile.
pub(crate) async fn stops_no_other() {
    let stage = Stage::shared().await;
    let topic = unique("events");
    let bus = bus(&stage.node.url_as("guest", "guest", &stage.vhost)).await;
    let (to, mut handled) = unbounded_channel();
    let endpoint = NotificationEndpoint::new(to).on(
        Priority::Info,
        "*",
        async |to: Arc<UnboundedSender<u64>>, event: Event<Value>| {
            let n = event.payload["n"].as_u64().unwrap_or(u64::MAX);
            if n == 0 {
                tokio::time::sleep(LONG).await;
            }
            let _ = to.send(n);
            Ok::<_, Infallible>(())
        },
    );
    let builder = NotificationListener::builder(&bus).target(Target::topic(&topic)).endpoint(endpoint);
    let listener = builder.concurrency(50).start(soon()).await.expect("it starts");
    let begun = Instant::now();
    tell(&bus, &topic, 0..1_001).await;
    let mut others = Vec::new();
    while others.len() < 1_000 {
        others.push(within(ARRIVE, "an event", handled.recv()).await.expect("the listener runs"));
    }
    assert!(begun.elapsed() < LONG && !others.contains(&0), "the others waited: {:?}", begun.elapsed());
    assert_eq!(within(ARRIVE, "the long one", handled.recv()).await, Some(0));
    listener.wait(soon()).await.expect("it ends");
    bus.close(soon()).await.expect("it closes");
}
