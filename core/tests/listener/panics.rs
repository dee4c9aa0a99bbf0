//! Panics of the application's code, each of which costs one event.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::notify::FailurePolicy;
use oslo_messaging::{Context, Event, NotificationEndpoint, Payload, Priority, Serializer};
use serde_json::{Value, json};

use crate::explosive::{Bad, BadFuture, explode};
use crate::fixture::{Seen, World, soon};

fn once() -> FailurePolicy {
    FailurePolicy::default().with_attempts(1)
}

/// Handlers that panic, each in its own place, and one that keeps what it is given.
fn panicking(seen: &Arc<Seen>) -> NotificationEndpoint<Seen> {
    NotificationEndpoint::shared(Arc::clone(seen))
        .on(Priority::Info, "made", |_: Arc<Seen>, _: Event<Value>| -> BadFuture { explode() })
        .on(Priority::Info, "first.poll", async |_: Arc<Seen>, _: Event<Value>| -> Result<(), Infallible> { explode() })
        .on(Priority::Info, "later", async |_: Arc<Seen>, _: Event<Value>| -> Result<(), Infallible> {
            tokio::task::yield_now().await;
            explode()
        })
        .on(Priority::Info, "dropped", |_: Arc<Seen>, _: Event<Value>| BadFuture::default())
        .on(Priority::Info, "payload", async |_: Arc<Seen>, _: Event<Bad>| Ok::<_, Infallible>(()))
        .on(Priority::Info, "error", async |_: Arc<Seen>, _: Event<Value>| Err::<(), _>(Bad))
        .on_batch(Priority::Info, "batch", async |_: Arc<Seen>, _: Vec<Event<Value>>| -> Result<(), Infallible> {
            explode()
        })
        .on(Priority::Info, "order.created", async |seen: Arc<Seen>, event: Event<Value>| {
            seen.note(&event);
            Ok::<_, Infallible>(())
        })
}

const PANICKING: [&str; 7] = ["made", "first.poll", "later", "dropped", "payload", "error", "batch"];

#[tokio::test(start_paused = true)]
async fn a_panic_whose_payload_panics_in_its_drop_costs_its_event_alone() {
    for batch in [false, true] {
        let (world, seen) = (World::new(), Seen::new());
        let listener = world.listener().endpoint(panicking(&seen)).on_failure(once());
        let listener = if batch { listener.batch(NonZeroUsize::MIN, Duration::from_secs(1)) } else { listener };
        let listener = listener.start(soon()).await.unwrap();
        for (number, event_type) in PANICKING.into_iter().enumerate() {
            world.publish_as("notifications", Priority::Info, event_type, json!(0)).await;
            world.publish(Priority::Info, number).await;
            assert_eq!(seen.wait(number + 1).await[number].n, json!(number), "after {event_type}, batch: {batch}");
        }
        listener.shutdown(soon()).await.unwrap();
        assert_eq!(world.ready("notifications.info.dead"), PANICKING.len(), "batch: {batch}");
    }
}

/// Panics for the payload of the event that says so.
#[derive(Debug)]
struct Picky;

impl Serializer for Picky {
    fn serialize(&self, _: &Context, value: Payload) -> oslo_messaging::Result<Payload> {
        Ok(value)
    }

    fn deserialize(&self, _: &Context, value: Payload) -> oslo_messaging::Result<Payload> {
        if value.as_str().contains("bad") { explode() } else { Ok(value) }
    }

    fn serialize_context(&self, context: &Context) -> oslo_messaging::Result<Context> {
        Ok(context.clone())
    }

    fn deserialize_context(&self, context: &Context) -> oslo_messaging::Result<Context> {
        Ok(context.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn a_serializer_that_panics_with_such_a_payload_costs_its_event_alone() {
    let (world, seen) = (World::new(), Seen::new());
    let listener = world.listener().endpoint(panicking(&seen)).serializer(Picky).on_failure(once());
    let listener = listener.start(soon()).await.unwrap();
    world.publish(Priority::Info, "bad").await;
    world.publish(Priority::Info, 1).await;
    assert_eq!(seen.wait(1).await[0].n, json!(1));
    listener.shutdown(soon()).await.unwrap();
    assert_eq!(world.ready("notifications.info.dead"), 1);
}
