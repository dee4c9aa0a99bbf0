//! Events that cannot be moved to their dead-letter queue as they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use oslo_messaging::driver::{Address, Message, PublishOptions, Transport};
use oslo_messaging::notify::{DeadLetters, FailurePolicy, NotificationListenerBuilder};
use oslo_messaging::{Bus, Event, Failure, NotificationEndpoint, NotificationListener, Priority, Target};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use serde_json::{Value, json};
use xtask::broker::{Node, Settings};

use crate::killed::tell;
use crate::limit::arrived;
use testkit::stage::{ARRIVE, Stage, blocking, soon, unique, until, url};

/// How often handlers of bad and of good events have run.
#[derive(Debug, Default)]
struct Runs {
    bad: AtomicU32,
    good: AtomicU32,
}

impl Runs {
    fn both(&self) -> (u32, u32) {
        (self.bad.load(Ordering::SeqCst), self.good.load(Ordering::SeqCst))
    }
}

/// A listener whose handler fails on every event with a number below 150, at length.
fn listener(bus: &Bus, topic: &str, runs: &Arc<Runs>) -> NotificationListenerBuilder {
    let endpoint = NotificationEndpoint::shared(Arc::clone(runs)).on(
        Priority::Info,
        "*",
        async |runs: Arc<Runs>, event: Event<Value>| {
            if event.payload["n"].as_u64().is_some_and(|n| n < 150) {
                runs.bad.fetch_add(1, Ordering::SeqCst);
                let lines = (0..500).map(|line| format!("  File \"shop.py\", line {line}, in sell\n"));
                return Err(Failure::new("shop", "OutOfStock", "none left").with_traceback(lines));
            }
            runs.good.fetch_add(1, Ordering::SeqCst);
            Ok(())
        },
    );
    let builder = NotificationListener::builder(bus).target(Target::topic(topic)).endpoint(endpoint);
    builder.on_failure(FailurePolicy::default().with_attempts(1))
}

pub(crate) async fn that_the_user_may_not_declare() {
    let stage = Stage::shared().await;
    let (topic, user) = (unique("events"), unique("u"));
    let name = user.clone();
    stage
        .control(move |stage| {
            stage.node.add_user(&name, "secret").expect("a user");
            stage.node.set_permissions(&name, &stage.vhost, "^(?!.*[.]dead$)", ".*", ".*").expect("permissions");
        })
        .await;
    let at = url(&stage.node.url_as(&user, "secret", &stage.vhost));
    let bus = Bus::new(AmqpTransport::connect(&at, AmqpConfig::default(), soon()).await.expect("a connection"));
    let runs = Arc::<Runs>::default();
    tell(&bus, &topic, 0..200).await;
    let listener = listener(&bus, &topic, &runs).start(soon()).await.expect("it starts all the same");
    until("the good events", async || runs.both() == (150, 50)).await;
    let health = bus.health();
    let part = health.borrow().unhealthy.first().cloned().expect("an unhealthy part");
    assert!(part.part.contains(&topic) && part.reason.contains("ACCESS_REFUSED"), "{part:?}");
    stage
        .control(move |stage| {
            stage.node.set_permissions(&user, &stage.vhost, ".*", ".*", ".*").expect("permissions");
        })
        .await;
    let dead = format!("{topic}.info.dead");
    arrived(&stage, &dead, 150).await;
    assert_eq!(runs.both(), (150, 50), "no handler ran twice");
    assert!(health.borrow().unhealthy.is_empty(), "{:?}", health.borrow().unhealthy);
    listener.shutdown(soon()).await.expect("it ends");
    bus.close(soon()).await.expect("it closes");
}

pub(crate) async fn whose_headers_fill_a_frame() {
    let stage = Stage::shared().await;
    let (topic, transport) = (unique("events"), stage.connect().await);
    large_headers(&transport, &topic, 120_000).await;
    moved(&stage, Bus::new(transport), &topic).await;
}

pub(crate) async fn on_a_broker_with_small_frames() {
    let settings = Settings { configuration: "frame_max = 8192\n".into(), ..Settings::default() };
    let node = blocking(move || Node::start_with(&settings).expect("a node")).await;
    let stage = Stage::on(node.attached().clone()).await;
    let (topic, transport) = (unique("events"), stage.connect().await);
    large_headers(&transport, &topic, 6_000).await;
    moved(&stage, Bus::new(transport), &topic).await;
}

/// The connection is made again with smaller frames than the first.
pub(crate) async fn on_a_broker_whose_frames_became_smaller() {
    let (mut node, stage) = Stage::own().await;
    node.spoil();
    let (topic, transport) = (unique("events"), stage.connect().await);
    large_headers(&transport, &topic, 6_000).await;
    stage
        .control(|stage| {
            stage.node.rabbitmqctl(&["eval", "application:set_env(rabbit, frame_max, 8192)."]).expect("it is set");
            stage.node.close_all_connections("smaller frames").expect("they are closed");
        })
        .await;
    until("the connection", async || transport.counters().reconnects >= 1).await;
    let transport = Arc::new(transport);
    moved(&stage, Bus::new(Arc::clone(&transport)), &topic).await;
    assert_eq!(transport.counters().losses, 1, "no try has cost the link");
}

/// Publishes a failing event with a header of so many bytes.
async fn large_headers(transport: &AmqpTransport, topic: &str, bytes: usize) {
    let body = json!({
        "message_id": "m", "publisher_id": "p", "timestamp": "2026-11-22 18:11:31.065226", "priority": "INFO",
        "event_type": "order.created", "payload": {"n": 0}, "_unique_id": unique("id"),
    });
    let to = Address::Notification { exchange: "openstack".into(), topic: topic.into(), priority: "info".into() };
    let message = Message::new(body.to_string()).with_header("foreign", "f".repeat(bytes));
    transport.publish(&to, message, &PublishOptions::by(soon()).ensure_queue()).await.expect("a publish");
}

/// The one event of `topic` becomes a dead letter after one run.
async fn moved(stage: &Stage, bus: Bus, topic: &str) {
    let runs = Arc::<Runs>::default();
    let listener = listener(&bus, topic, &runs).start(soon()).await.expect("it starts");
    arrived(stage, &format!("{topic}.info.dead"), 1).await;
    listener.shutdown(soon()).await.expect("it ends");
    let mut letters = DeadLetters::open(&bus, &format!("{topic}.info"), soon()).await.expect("they open");
    let letter = letters.next(ARRIVE).await.expect("letters").expect("one");
    assert_eq!(
        (letter.info().queue.clone(), letter.event().expect("an event").event_type),
        (format!("{topic}.info"), "order.created".into())
    );
    assert!(letter.info().traceback.ends_with("line 499, in sell\n"), "{}", letter.info().traceback);
    letters.close(soon()).await.expect("they close");
    assert_eq!(runs.both(), (1, 0));
    bus.close(soon()).await.expect("it closes");
}
