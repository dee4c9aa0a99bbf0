//! Events put together.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oslo_messaging::notify::{NotificationListenerBuilder, NotificationResult};
use oslo_messaging::{Event, NotificationEndpoint, Priority};
use serde_json::Value;
use tokio::time::Instant;

use crate::fixture::{Failed, Seen, World, keeping, many, soon, twice};

const WINDOW: Duration = Duration::from_secs(2);

type Log = Mutex<Vec<(&'static str, Vec<Value>)>>;

/// The batches that a handler was given, each with its attempt and when.
#[derive(Debug, Default)]
struct Batches {
    seen: Seen,
    batches: Mutex<Vec<(usize, u32, Instant)>>,
}

impl Batches {
    fn note(&self, events: &[Event<Value>]) {
        self.batches.lock().unwrap().push((events.len(), events[0].attempt, Instant::now()));
        for event in events {
            self.seen.note(event);
        }
    }

    fn sizes(&self) -> Vec<usize> {
        self.batches.lock().unwrap().iter().map(|batch| batch.0).collect()
    }
}

fn batching(world: &World, batches: &Arc<Batches>) -> NotificationListenerBuilder {
    let endpoint = NotificationEndpoint::shared(Arc::clone(batches)).on_batch(
        Priority::Info,
        "*",
        async |batches: Arc<Batches>, events: Vec<Event<Value>>| {
            batches.note(&events);
            Ok::<_, Failed>(())
        },
    );
    world.listener().endpoint(endpoint).batch(many(100), WINDOW)
}

#[tokio::test(start_paused = true)]
async fn two_hundred_and_five_events_come_as_a_hundred_a_hundred_and_five() {
    for before in [0, 150, 205] {
        let world = World::new();
        let batches = Arc::<Batches>::default();
        for n in 0..before {
            world.publish(Priority::Info, n).await;
        }
        let listener = batching(&world, &batches).start(soon()).await.unwrap();
        for n in before..205 {
            world.publish(Priority::Info, n).await;
        }
        batches.seen.wait(205).await;
        listener.shutdown(soon()).await.unwrap();
        assert_eq!(batches.sizes(), [100, 100, 5], "{before} were there before");
        assert_eq!(batches.seen.ns(), (0..205).map(Value::from).collect::<Vec<_>>());
        world.bus.close(soon()).await.unwrap();
        world.broker.assert_idle();
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_for_its_window_from_its_first_event_on_and_no_longer() {
    let world = World::new();
    let batches = Arc::<Batches>::default();
    let listener = batching(&world, &batches).start(soon()).await.unwrap();
    tokio::time::sleep(WINDOW * 10).await;
    let first = Instant::now();
    for n in 0..4 {
        world.publish(Priority::Info, n).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    batches.seen.wait(4).await;
    listener.shutdown(soon()).await.unwrap();
    let batches: Vec<_> =
        batches.batches.lock().unwrap().iter().map(|(size, _, at)| (*size, (*at - first).as_millis())).collect();
    assert_eq!(batches, [(3, 2_000), (1, 4_100)]);
}

#[tokio::test(start_paused = true)]
async fn each_handler_has_its_own_events_of_a_batch_at_once() {
    let world = World::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    macro_rules! note {
        ($word:expr) => {
            async |log: Arc<Log>, events: Vec<Event<Value>>| {
                log.lock().unwrap().push(($word, events.iter().map(|event| event.payload["n"].clone()).collect()));
                Ok::<_, Failed>(())
            }
        };
    }
    let endpoint = NotificationEndpoint::shared(Arc::clone(&seen))
        .on_batch(Priority::Info, "order.*", note!("order"))
        .on_batch(Priority::Info, "*", note!("other"))
        .on_batch(Priority::Error, "*", note!("error"));
    let listener = world.listener().endpoint(endpoint).batch(many(4), WINDOW).start(soon()).await.unwrap();
    for (n, (priority, event_type)) in [
        (Priority::Info, "order.a"),
        (Priority::Error, "order.b"),
        (Priority::Info, "stock"),
        (Priority::Info, "order.c"),
    ]
    .into_iter()
    .enumerate()
    {
        world.publish_as("notifications", priority, event_type, n.into()).await;
    }
    tokio::time::sleep(WINDOW).await;
    listener.shutdown(soon()).await.unwrap();
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_unstable_by_key(|(word, _)| *word);
    assert_eq!(seen, [("error", vec![1.into()]), ("order", vec![0.into(), 3.into()]), ("other", vec![2.into()])]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_is_tried_again_whole_while_others_go_on() {
    let world = World::new();
    let batches = Arc::<Batches>::default();
    let endpoint = NotificationEndpoint::shared(Arc::clone(&batches)).on_batch(
        Priority::Info,
        "*",
        async |batches: Arc<Batches>, events: Vec<Event<Value>>| {
            batches.note(&events);
            if events[0].payload["n"] == 0 { Err(Failed) } else { Ok(()) }
        },
    );
    let builder = world.listener().endpoint(endpoint).batch(many(2), WINDOW).on_failure(twice());
    let listener = builder.start(soon()).await.unwrap();
    for n in 0..6 {
        world.publish(Priority::Info, n).await;
    }
    batches.seen.wait(8).await;
    listener.shutdown(soon()).await.unwrap();
    assert_eq!(batches.seen.ns(), [0, 1, 2, 3, 4, 5, 0, 1].map(Value::from));
    assert_eq!(batches.batches.lock().unwrap().last().map(|last| last.1), Some(2));
    assert_eq!((world.ready("notifications.info"), world.ready("notifications.info.dead")), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_given_back_comes_again() {
    let world = World::new();
    let batches = Arc::<Batches>::default();
    let endpoint = NotificationEndpoint::shared(Arc::clone(&batches)).on_batch(
        Priority::Info,
        "*",
        async |batches: Arc<Batches>, events: Vec<Event<Value>>| {
            batches.note(&events);
            let first = !events[0].redelivered;
            Ok::<_, Failed>(if first { NotificationResult::Requeue } else { NotificationResult::Handled })
        },
    );
    let listener = world.listener().endpoint(endpoint).batch(many(3), WINDOW).start(soon()).await.unwrap();
    for n in 0..3 {
        world.publish(Priority::Info, n).await;
    }
    batches.seen.wait(6).await;
    listener.shutdown(soon()).await.unwrap();
    assert_eq!(batches.sizes(), [3, 3]);
}

#[tokio::test(start_paused = true)]
async fn one_payload_that_cannot_be_read_does_not_cost_its_batch() {
    let world = World::new();
    let sums = Arc::new(Mutex::new(Vec::new()));
    let endpoint = NotificationEndpoint::shared(Arc::clone(&sums)).on_batch(
        Priority::Info,
        "*",
        async |sums: Arc<Mutex<Vec<usize>>>, events: Vec<Event<std::collections::BTreeMap<String, u32>>>| {
            sums.lock().unwrap().push(events.len());
            Ok::<_, Failed>(())
        },
    );
    let listener = world.listener().endpoint(endpoint).batch(many(3), WINDOW).start(soon()).await.unwrap();
    for n in [Value::from(1), Value::from("text"), Value::from(3)] {
        world.publish_as("notifications", Priority::Info, "order.created", n).await;
    }
    tokio::time::sleep(WINDOW).await;
    listener.shutdown(soon()).await.unwrap();
    assert_eq!(*sums.lock().unwrap(), [2]);
    assert_eq!((world.ready("notifications.info"), world.ready("notifications.info.dead")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_batch_may_wait_for_ever_to_be_full() {
    let world = World::new();
    let seen = Seen::new();
    let builder = world.listener().endpoint(keeping(&seen)).batch(many(2), Duration::MAX);
    let listener = builder.start(soon()).await.unwrap();
    for n in 0..2 {
        world.publish(Priority::Info, n).await;
    }
    seen.wait(2).await;
    listener.shutdown(soon()).await.unwrap();
}
