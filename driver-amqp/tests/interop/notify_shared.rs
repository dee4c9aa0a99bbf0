//! Rust and Python side by side on one queue of events: shares, what is given back, what fails.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::notify::{DeadLetters, DeadReason, FailurePolicy, NotificationResult};
use oslo_messaging::{Bus, Context, Event, Failure, NotificationEndpoint, NotificationListener, Priority, Target};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::budget::{ARRIVE, soon};
use crate::ear::{PythonListener, listener, notifier, number, payloads, started};
use crate::setting::Setting;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(two_hundred_events_are_shared_and_none_is_lost_or_doubled),
    test!(python_has_what_rust_gives_back),
    test!(rust_has_what_python_gives_back),
    test!(dead_letters_break_no_publisher_in_python_and_lose_nothing),
];

/// How long a dead-letter queue must stay empty to count as empty.
const EMPTY: Duration = Duration::from_secs(1);

async fn two_hundred_events_are_shared_and_none_is_lost_or_doubled(setting: Arc<Setting>) {
    let (bus, topic, pool) = (setting.bus().await, setting.unique("events"), setting.unique("pool"));
    let (builder, mut heard) = listener(&bus, &topic);
    let rust = builder.pool(&pool).start(soon()).await.unwrap();
    let python = PythonListener::start(setting.peer().await, &topic, json!({ "pool": pool })).await;
    let notifier = notifier(&bus, &topic);
    for n in 0..100_u64 {
        notifier.info(&Context::new(), "order.created", &json!({ "n": n })).await.unwrap();
    }
    let notify = json!({"do": "notify", "topic": topic, "event_type": "e", "payloads": payloads(100..200)});
    setting.second_peer().await.ok(notify).await;

    let mut of_rust = Vec::new();
    let of_python = loop {
        of_rust.extend(heard.so_far());
        let of_python = python.kept(200 - of_rust.len(), Duration::from_secs(1)).await;
        of_rust.extend(heard.so_far());
        if of_rust.len() + of_python.len() >= 200 {
            break of_python;
        }
    };
    rust.shutdown(soon()).await.unwrap();
    python.stop().await;
    assert!(of_rust.len() >= 25 && of_python.len() >= 25, "{} and {}", of_rust.len(), of_python.len());
    let mut all = [of_rust, of_python].concat();
    all.sort_unstable();
    assert_eq!(all, (0..200).collect::<Vec<_>>());
    bus.close(soon()).await.unwrap();
}

/// A listener that says what it does with each event.
async fn answering(
    bus: &Bus,
    topic: &str,
    pool: &str,
    answer: fn(&Event<Value>) -> Result<NotificationResult, Failure>,
) -> (NotificationListener, tokio::sync::mpsc::UnboundedReceiver<u64>) {
    let (to, heard) = unbounded_channel();
    let endpoint = NotificationEndpoint::new(to).on(
        Priority::Info,
        "*",
        move |to: Arc<UnboundedSender<u64>>, event: Event<Value>| {
            let _ = to.send(number(&event.payload));
            let answer = answer(&event);
            async move { answer }
        },
    );
    let policy = FailurePolicy::default().with_attempts(2).with_first_wait(Duration::from_millis(50));
    let builder = NotificationListener::builder(bus).target(Target::topic(topic)).endpoint(endpoint).pool(pool);
    (builder.on_failure(policy).start(soon()).await.unwrap(), heard)
}

async fn python_has_what_rust_gives_back(setting: Arc<Setting>) {
    let (bus, topic, pool) = (setting.bus().await, setting.unique("events"), setting.unique("pool"));
    let (rust, mut heard) = answering(&bus, &topic, &pool, |_| Ok(NotificationResult::Requeue)).await;
    notifier(&bus, &topic).info(&Context::new(), "order.created", &json!({"n": 7})).await.unwrap();
    assert_eq!(timeout(ARRIVE, heard.recv()).await.unwrap(), Some(7));
    let python = PythonListener::start(setting.peer().await, &topic, json!({ "pool": pool })).await;
    assert_eq!(python.numbers(1).await, [7]);
    rust.shutdown(soon()).await.unwrap();
    python.stop().await;
    bus.close(soon()).await.unwrap();
}

async fn rust_has_what_python_gives_back(setting: Arc<Setting>) {
    let (bus, topic, pool) = (setting.bus().await, setting.unique("events"), setting.unique("pool"));
    let options = json!({"pool": pool, "requeue": 1_000_000});
    let python = PythonListener::start(setting.peer().await, &topic, options).await;
    notifier(&bus, &topic).info(&Context::new(), "order.created", &json!({"n": 7})).await.unwrap();
    let (builder, mut heard) = listener(&bus, &topic);
    let rust = builder.pool(&pool).start(soon()).await.unwrap();
    assert!(heard.next().await.redelivered);
    assert!(python.heard(0).await.is_empty());
    rust.shutdown(soon()).await.unwrap();
    python.stop().await;
    bus.close(soon()).await.unwrap();
}

async fn dead_letters_break_no_publisher_in_python_and_lose_nothing(setting: Arc<Setting>) {
    let (bus, peer, topic) = (setting.bus().await, setting.peer().await, setting.unique("events"));
    let pool = setting.unique("pool");
    let (plain, mut plainly) = started(&bus, &topic).await;
    let odd_fail = |event: &Event<Value>| match number(&event.payload) % 2 {
        0 => Ok(NotificationResult::Handled),
        _ => Err(Failure::new("shop.errors", "Odd", "an odd number")),
    };
    let (failing, mut tried) = answering(&bus, &topic, &pool, odd_fail).await;
    // A publisher that is refused with 406 logs that and loses its event: the count tells.
    let notify = |numbers| {
        peer.ok(json!({
            "do": "notify", "topic": topic, "driver": "messagingv2", "event_type": "e", "payloads": payloads(numbers),
        }))
    };
    notify(0..10).await;
    for _ in 0..15 {
        timeout(ARRIVE, tried.recv()).await.expect("odd ones are tried twice").unwrap();
    }
    failing.shutdown(soon()).await.unwrap();
    notify(10..20).await;
    assert_eq!(plainly.numbers(20).await, (0..20).collect::<Vec<_>>());

    // Now that five are dead letters, a Python member of the pool has the rest, and then those that are replayed.
    let python = PythonListener::start(peer, &topic, json!({ "pool": pool })).await;
    let mut heard = python.numbers(10).await;
    heard.sort_unstable();
    assert_eq!(heard, (10..20).collect::<Vec<_>>());
    let mut dead = DeadLetters::open(&bus, &pool, soon()).await.unwrap();
    let letter = dead.next(ARRIVE).await.unwrap().expect("there are five");
    assert_eq!((letter.info().reason, letter.info().attempts), (DeadReason::Failed, 2));
    letter.replay(soon()).await.unwrap();
    assert_eq!(dead.replay_all(EMPTY, soon()).await.unwrap(), 4);
    dead.close(soon()).await.unwrap();
    let mut heard = python.numbers(15).await;
    heard.sort_unstable();
    assert_eq!(heard, [1, 3, 5, 7, 9].into_iter().chain(10..20).collect::<Vec<_>>());
    python.stop().await;
    plain.shutdown(soon()).await.unwrap();
    bus.close(soon()).await.unwrap();
}
