//! Which handler gets an event, and what it is given.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::notify::{NotificationFilter, NotificationListenerBuilder};
use oslo_messaging::wire::Format;
use oslo_messaging::{ErrorKind, Event, NotificationEndpoint, NotificationListener, Payload, Priority, Target};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use crate::fixture::{Seen, World, keeping, notification, soon};

type To = mpsc::UnboundedSender<&'static str>;

#[derive(Debug, Deserialize)]
struct Order {
    n: u32,
}

#[tokio::test(start_paused = true)]
async fn a_handler_gets_everything_that_its_publisher_sent_in_either_format() {
    for format in [Format::V1, Format::V2] {
        let world = World::new();
        let (to, mut events) = mpsc::unbounded_channel();
        let endpoint = NotificationEndpoint::new(to).on(
            Priority::Error,
            "order.*",
            async |to: Arc<mpsc::UnboundedSender<Event<Order>>>, event| {
                to.send(event).unwrap();
                Ok::<_, Infallible>(())
            },
        );
        let listener = world.listener().endpoint(endpoint).start(soon()).await.unwrap();
        let mut sent = notification(Priority::Error, "order.refused", &json!({ "n": 7 }));
        sent.context = vec![("request_id".into(), Payload::from(json!("req-1")))];
        world.publish_body("notifications", Priority::Error, sent.encode(format)).await;

        let event = events.recv().await.unwrap();
        assert_eq!(event.payload.n, 7);
        assert_eq!((event.publisher_id.as_str(), event.event_type.as_str()), ("shop.host-1", "order.refused"));
        assert_eq!(event.context.get::<String>("request_id").as_deref(), Some("req-1"));
        assert_eq!(Some(event.message_id), sent.message_id);
        assert_eq!(Some(event.timestamp), sent.timestamp);
        assert_eq!((event.priority, event.attempt, event.redelivered), (Priority::Error, 1, false));
        listener.shutdown(soon()).await.unwrap();
        world.bus.close(soon()).await.unwrap();
        world.broker.assert_idle();
    }
}

#[tokio::test(start_paused = true)]
async fn every_endpoint_has_an_event_and_in_each_the_first_handler_that_fits() {
    let world = World::new();
    let (to, mut heard) = mpsc::unbounded_channel::<&str>();
    macro_rules! say {
        ($word:expr) => {
            async |to: Arc<To>, _: Event<Value>| {
                to.send($word).unwrap();
                Ok::<_, Infallible>(())
            }
        };
    }
    let first = NotificationEndpoint::new(to.clone())
        .on(Priority::Info, "order.created", say!("first: created"))
        .on(Priority::Info, "order.*", say!("first: any"))
        .on(Priority::Warn, "*", say!("first: warn"));
    let second = NotificationEndpoint::new(to).on(Priority::Info, "*", say!("second"));
    let listener = world.listener().endpoint(first).endpoint(second).start(soon()).await.unwrap();
    for event_type in ["order.created", "order.gone", "stock.low"] {
        world.publish_as("notifications", Priority::Info, event_type, json!(1)).await;
    }
    let mut words = Vec::new();
    for _ in 0..5 {
        words.push(heard.recv().await.unwrap());
    }
    assert_eq!(words, ["first: created", "second", "first: any", "second", "second"]);
    listener.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn only_priorities_that_some_endpoint_handles_are_read() {
    let world = World::new();
    world.publish(Priority::Info, 1).await;
    world.publish(Priority::Debug, 2).await;
    let seen = Seen::new();
    let listener = world.listener().endpoint(keeping(&seen)).start(soon()).await.unwrap();
    seen.wait(1).await;
    listener.shutdown(soon()).await.unwrap();
    assert_eq!((seen.ns(), world.ready("notifications.debug")), (vec![json!(1)], 1));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_no_filter_lets_through_is_done_with() {
    let world = World::new();
    let seen = Seen::new();
    let filter = NotificationFilter::new().publisher_id("shop").unwrap().payload("n", "^wanted$").unwrap();
    let listener = world.listener().endpoint(keeping(&seen).filter(filter)).start(soon()).await.unwrap();
    for n in ["unwanted", "wanted"] {
        world.publish(Priority::Info, n).await;
    }
    assert_eq!(seen.wait(1).await[0].n, "wanted");
    listener.shutdown(soon()).await.unwrap();
    assert_eq!(world.ready("notifications.info"), 0);
}

#[tokio::test(start_paused = true)]
async fn all_topics_and_exchanges_of_its_targets_are_read_and_no_other() {
    let world = World::new();
    let seen = Seen::new();
    let targets = [Target::topic("a"), Target::topic("b")];
    let builder =
        targets.into_iter().fold(NotificationListener::builder(&world.bus), NotificationListenerBuilder::target);
    let listener = builder.endpoint(keeping(&seen)).start(soon()).await.unwrap();
    for topic in ["c", "b", "a"] {
        world.publish_as(topic, Priority::Info, "order.created", json!(topic)).await;
    }
    let mut topics: Vec<_> = seen.wait(2).await.into_iter().map(|look| look.n).collect();
    topics.sort_by_key(ToString::to_string);
    assert_eq!(topics, ["a", "b"]);
    listener.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_event_that_takes_minutes_stops_no_other() {
    let world = World::new();
    let (seen, gate) = (Seen::new(), Arc::new(Semaphore::new(0)));
    let held = Arc::clone(&gate);
    let endpoint = crate::fixture::answering(&seen, move |event| {
        let held = Arc::clone(&held);
        async move {
            if event.payload["n"] == 0 {
                held.acquire().await.unwrap().forget();
            }
            Ok(())
        }
    });
    let listener = world.listener().concurrency(50).endpoint(endpoint).start(soon()).await.unwrap();
    for n in 0..=1_000 {
        world.publish(Priority::Info, n).await;
    }
    let ns: Vec<_> = seen.wait(1_001).await.into_iter().map(|look| look.n).collect();
    assert_eq!(ns, (0..=1_000).map(Value::from).collect::<Vec<_>>(), "events start in the order they came in");
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(world.broker.counters().acknowledged, 1_000);
    gate.add_permits(1);
    listener.shutdown(soon()).await.unwrap();
    assert_eq!(world.broker.counters().acknowledged, 1_001);
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_an_event_is_handled_once_and_settled_with_it() {
    let world = World::new();
    let seen = Seen::new();
    let listener = world.listener().endpoint(keeping(&seen)).start(soon()).await.unwrap();
    let body = notification(Priority::Info, "order.created", &json!({ "n": 1 })).encode(Format::V2);
    for _ in 0..3 {
        world.publish_body("notifications", Priority::Info, &body).await;
    }
    world.publish(Priority::Info, 2).await;
    seen.wait(2).await;
    listener.shutdown(soon()).await.unwrap();
    assert_eq!(seen.ns(), [1, 2]);
    world.bus.close(soon()).await.unwrap();
    world.broker.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn an_event_of_an_unknown_priority_is_done_with() {
    let world = World::new();
    let seen = Seen::new();
    let listener = world.listener().endpoint(keeping(&seen)).start(soon()).await.unwrap();
    let mut odd = notification(Priority::Info, "order.created", &json!({ "n": 1 }));
    for priority in [None, Some("loud".to_owned())] {
        odd.priority = priority;
        odd.unique_id.push('x');
        world.publish_body("notifications", Priority::Info, odd.encode(Format::V2)).await;
    }
    world.publish(Priority::Info, 2).await;
    seen.wait(1).await;
    listener.shutdown(soon()).await.unwrap();
    assert_eq!((seen.ns(), world.ready("notifications.info")), (vec![json!(2)], 0));
}

#[tokio::test(start_paused = true)]
async fn settings_that_are_none_are_refused_before_anything_is_declared() {
    let world = World::new();
    let seen = Seen::new();
    let endpoint = || keeping(&seen);
    let bare = || NotificationListener::builder(&world.bus);
    let long = "p".repeat(251);
    for (builder, kind, word) in [
        (bare().endpoint(endpoint()), ErrorKind::InvalidTarget, "target"),
        (bare().target(Target::default()).endpoint(endpoint()), ErrorKind::InvalidTarget, "topic"),
        (world.listener(), ErrorKind::Config, "handler"),
        (world.listener().endpoint(endpoint()).pool(""), ErrorKind::Config, "pool"),
        (world.listener().endpoint(endpoint()).pool(long), ErrorKind::TooLarge, ".dead"),
        (
            world
                .listener()
                .endpoint(endpoint().on(Priority::Info, "[z-a]", async |_, _: Event| Ok::<_, Infallible>(()))),
            ErrorKind::Config,
            "[z-a]",
        ),
        (
            world.listener().endpoint(endpoint()).batch(crate::fixture::many(40_000), Duration::ZERO),
            ErrorKind::Config,
            "65,535",
        ),
    ] {
        let error = builder.start(soon()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
    assert_eq!(world.broker.queues(), []);
}
