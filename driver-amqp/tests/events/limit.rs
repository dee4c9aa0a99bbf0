//! Queues that limit how often they deliver a message, and those that do not.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use oslo_messaging::driver::{Source, Subscription};
use oslo_messaging::notify::{DeadLetter, DeadLetters, DeadReason, NotificationResult};
use oslo_messaging::{Bus, Event, Failure, NotificationEndpoint, NotificationListener, Priority, Target};
use oslo_messaging_amqp::AmqpConfig;
use serde_json::Value;
use xtask::broker::Release;

use crate::killed::tell;
use testkit::stage::{ARRIVE, QUIET, Stage, soon, subscribe, take, unique, until, within};

/// How often a handler gives its event back before it handles it.
const REQUEUES: u32 = 50;
/// How many listeners share the event: each waits longer every time it gives the same one back.
const LISTENERS: usize = 10;
/// The limit of RabbitMQ 4 without a setting.
const BY_ITSELF: u32 = 20;

/// What became of an event.
#[derive(Debug, PartialEq)]
enum End {
    /// It was handled in this run.
    Handled(u32),
    /// It is a dead letter because of the delivery limit, after so many runs.
    Dead(u32),
}

pub(crate) async fn of_a_classic_queue() {
    let stage = Stage::shared().await;
    assert_eq!(requeued(&stage, AmqpConfig::durable()).await, End::Handled(REQUEUES + 1));
}

pub(crate) async fn of_a_quorum_queue() {
    let stage = Stage::shared().await;
    // From 4.3 on what is given back does not count.
    let counts = stage.node.release().is_some_and(|release| release.name() == "4.0");
    let end = if counts { End::Dead(BY_ITSELF) } else { End::Handled(REQUEUES + 1) };
    assert_eq!(requeued(&stage, AmqpConfig::quorum()).await, end);
}

pub(crate) async fn of_a_quorum_queue_with_a_limit() {
    let stage = Stage::shared().await;
    let counts = stage.node.release().is_none_or(|release| !release.name().starts_with("4.3"));
    let end = if counts { End::Dead(7) } else { End::Handled(REQUEUES + 1) };
    let config = AmqpConfig::quorum().with_option("rabbit_quorum_delivery_limit", "7").expect("an option");
    assert_eq!(requeued(&stage, config).await, end);
}

/// What becomes of an event whose handlers give it back fifty times.
async fn requeued(stage: &Stage, config: AmqpConfig) -> End {
    let (topic, bus) = (unique("events"), Bus::new(stage.connect_with(config).await));
    let (runs, handled) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let endpoint = || {
        let counters = (Arc::clone(&runs), Arc::clone(&handled));
        NotificationEndpoint::new(counters).on(
            Priority::Info,
            "*",
            async |counters: Arc<(Arc<AtomicU32>, Arc<AtomicU32>)>, _: Event<Value>| {
                if counters.0.fetch_add(1, Ordering::SeqCst) < REQUEUES {
                    return Ok::<_, Infallible>(NotificationResult::Requeue);
                }
                counters.1.fetch_add(1, Ordering::SeqCst);
                Ok(NotificationResult::Handled)
            },
        )
    };
    let start = (0..LISTENERS)
        .map(|_| NotificationListener::builder(&bus).target(Target::topic(&topic)).endpoint(endpoint()).start(soon()));
    let listeners: Vec<_> = join_all(start).await.into_iter().map(|started| started.expect("it starts")).collect();
    tell(&bus, &topic, 0..1).await;
    let queue = format!("{topic}.info");
    let mut letters = DeadLetters::open(&bus, &queue, soon()).await.expect("they open");
    let mut letter = None;
    // Longer than the others together, since the waits add up.
    let until = tokio::time::Instant::now() + ARRIVE * 4;
    while letter.is_none() && handled.load(Ordering::SeqCst) == 0 {
        assert!(tokio::time::Instant::now() < until, "it is gone after {} runs", runs.load(Ordering::SeqCst));
        letter = letters.next(QUIET).await.expect("letters");
    }
    let ended = join_all(listeners.iter().map(|listener| listener.shutdown(soon()))).await;
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    let runs = runs.load(Ordering::SeqCst);
    match letter {
        None => End::Handled(runs),
        Some(letter) => {
            assert_eq!(letter.info().reason, DeadReason::DeliveryLimit);
            assert!(letter.info().detail.contains("delivery limit"), "{}", letter.info().detail);
            assert_eq!(handled.load(Ordering::SeqCst), 0);
            End::Dead(runs)
        }
    }
}

/// A listener that stops gives its batch back after the broker sends it no more, so that no event comes to it again.
pub(crate) async fn of_events_that_a_stop_gives_back() {
    const EVENTS: usize = 3;
    let stage = Stage::shared().await;
    let (topic, bus) = (unique("events"), Bus::new(stage.connect_with(AmqpConfig::quorum()).await));
    let waiting = NotificationEndpoint::new(())
        .on(Priority::Info, "*", async |_: Arc<()>, _: Event<Value>| Ok::<_, Infallible>(NotificationResult::Handled));
    let builder = NotificationListener::builder(&bus).target(Target::topic(&topic)).endpoint(waiting);
    let size = NonZeroUsize::new(10).expect("not zero");
    let listener = builder.batch(size, Duration::from_secs(3_600)).start(soon()).await.expect("it starts");
    tell(&bus, &topic, 0..EVENTS as u64).await;
    let queue = format!("{topic}.info");
    until("the events to be handed over", async || unsettled(&stage, &queue).await == EVENTS).await;
    listener.shutdown(soon()).await.expect("it ends");
    let transport = stage.connect_with(AmqpConfig::quorum()).await;
    let again = Subscription::new(Source::Queue { name: queue });
    let again = take(subscribe(&transport, &again).await.as_mut(), EVENTS).await;
    let failed: Vec<u64> =
        again.iter().map(|event| event.message().delivery_count.map_or(0, |count| count.failed)).collect();
    // From 4.3 on what is given back does not count.
    let once = u64::from(stage.node.release().is_none_or(|release| !release.name().starts_with("4.3")));
    assert_eq!(failed, [once; EVENTS]);
}

/// How many messages of `queue` the broker has handed over and not seen settled.
async fn unsettled(stage: &Stage, queue: &str) -> usize {
    let list = |stage: &Stage| {
        let arguments = ["list_queues", "-p", &stage.vhost, "--no-table-headers", "name", "messages_unacknowledged"];
        stage.node.rabbitmqctl(&arguments).expect("a list")
    };
    let listed = stage.control(list).await;
    let counts = listed.lines().find_map(|line| line.strip_prefix(queue)?.strip_prefix('\t'));
    counts.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}

pub(crate) async fn of_dead_letters_that_are_looked_at() {
    looked_at(AmqpConfig::quorum()).await;
}

/// A queue that another release or another client has made, which cannot be changed.
pub(crate) async fn of_dead_letters_in_a_queue_with_a_limit() {
    let stage = Stage::shared().await;
    let topic = unique("events");
    let bare = stage.bare().await;
    let channel = bare.create_channel().await.expect("a channel");
    let mut arguments = lapin::types::FieldTable::default();
    arguments.insert("x-queue-type".into(), lapin::types::AMQPValue::LongString("quorum".into()));
    arguments.insert("x-delivery-limit".into(), lapin::types::AMQPValue::LongLongInt(20));
    let options = lapin::options::QueueDeclareOptions::durable();
    let name = format!("{topic}.info.dead");
    channel.queue_declare(name.as_str().into(), options, arguments).await.expect("a queue");
    look(&stage, &topic, AmqpConfig::quorum()).await;
    let strict = matches!(stage.node.release().map(Release::name), Some("4.0" | "4.3"));
    if strict {
        let bus = Bus::new(stage.connect_with(AmqpConfig::quorum().with_strict(true)).await);
        let letters = DeadLetters::open(&bus, &format!("{topic}.info"), soon()).await;
        letters.expect("it is used as it is").close(soon()).await.expect("it closes");
    }
}

async fn looked_at(config: AmqpConfig) {
    look(&Stage::shared().await, &unique("events"), config).await;
}

/// Looks at three dead letters of `topic` fifty times.
async fn look(stage: &Stage, topic: &str, config: AmqpConfig) {
    let (bus, queue) = (dead_letters(stage, topic, config, 3).await, format!("{topic}.info"));
    for round in 0..50 {
        let mut letters = DeadLetters::open(&bus, &queue, soon()).await.expect("they open");
        let letter = letters.next(ARRIVE).await.expect("letters");
        assert!(letter.is_some(), "round {round}");
        drop(letter);
        letters.close(soon()).await.expect("they close");
    }
    let mut letters = DeadLetters::open(&bus, &queue, soon()).await.expect("they open");
    let (mut seen, begun) = (Vec::new(), tokio::time::Instant::now());
    while seen.len() < 3 && begun.elapsed() < ARRIVE {
        let letter = letters.next(Duration::from_secs(1)).await.expect("letters");
        seen.extend(letter.as_ref().map(number));
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2]);
    letters.close(soon()).await.expect("they close");
}

/// So many events of `topic` become dead letters; nothing listens any more. Returns the bus that listened.
pub(crate) async fn dead_letters(stage: &Stage, topic: &str, config: AmqpConfig, count: u64) -> Bus {
    let bus = Bus::new(stage.connect_with(config).await);
    let failing = NotificationEndpoint::new(()).on(Priority::Info, "*", async |_: Arc<()>, _: Event<Value>| {
        Err::<(), _>(Failure::new("shop", "OutOfStock", "none left"))
    });
    let policy = oslo_messaging::notify::FailurePolicy::default().with_attempts(1);
    let builder = NotificationListener::builder(&bus).target(Target::topic(topic)).endpoint(failing);
    let listener = builder.on_failure(policy).start(soon()).await.expect("it starts");
    tell(&bus, topic, 0..count).await;
    arrived(stage, &format!("{topic}.info.dead"), count).await;
    listener.shutdown(soon()).await.expect("it ends");
    bus
}

fn number(letter: &DeadLetter) -> u64 {
    let payload: Value = serde_json::from_str(letter.event().expect("an event").payload.as_str()).expect("JSON");
    payload["n"].as_u64().expect("a number")
}

/// Waits until so many messages lie in `queue`. Asking takes seconds on a busy machine, and a turn of what went back to its
/// queue a minute.
pub(crate) async fn arrived(stage: &Stage, queue: &str, count: u64) {
    let looking = async {
        while messages(stage, queue).await != count {
            tokio::time::sleep(QUIET).await;
        }
    };
    within(ARRIVE * 5, "their arrival", looking).await;
}

pub(crate) async fn messages(stage: &Stage, queue: &str) -> u64 {
    let list = |stage: &Stage| stage.node.queues(&stage.vhost).expect("the queues");
    let queues = stage.control(list).await;
    let found = queues.iter().find(|found| found["name"] == queue);
    found.and_then(|found| found["messages"].as_u64()).unwrap_or_default()
}
