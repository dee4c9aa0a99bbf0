//! A broker, a publisher of events, and an endpoint that keeps what it is given.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oslo_messaging::driver::{Address, Message, PublishOptions, Transport};
use oslo_messaging::notify::{FailurePolicy, NotificationListenerBuilder, NotificationResult};
use oslo_messaging::wire::{Compression, Format, Notification};
use oslo_messaging::{Bus, Deadline, Event, NotificationEndpoint, NotificationListener, Payload, Priority, Target};
use oslo_messaging_fake::{FakeBroker, FakeTransport};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long to wait for what must come. On the fake's clock, which jumps.
pub(crate) const ARRIVE: Duration = Duration::from_secs(3_600);

/// One broker with a bus on it and a publisher that is not part of that bus.
pub(crate) struct World {
    pub(crate) broker: FakeBroker,
    pub(crate) bus: Bus,
    publisher: FakeTransport,
}

/// What a handler was given, in order.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    events: Mutex<Vec<Look>>,
    bell: Notify,
}

/// One event as a handler saw it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Look {
    pub(crate) n: Value,
    pub(crate) attempt: u32,
    pub(crate) redelivered: bool,
    pub(crate) at: Instant,
}

impl World {
    pub(crate) fn new() -> Self {
        let broker = FakeBroker::new();
        Self { bus: Bus::new(broker.transport()), publisher: broker.transport(), broker }
    }

    /// Publishes `{"n": n}` as an `order.created`, as the reference does: the queue is there afterwards.
    pub(crate) async fn publish(&self, priority: Priority, n: impl Into<Value>) {
        self.publish_as("notifications", priority, "order.created", n.into()).await;
    }

    pub(crate) async fn publish_as(&self, topic: &str, priority: Priority, event_type: &str, n: Value) {
        let notification = notification(priority, event_type, &json!({ "n": n }));
        self.publish_body(topic, priority, notification.encode(Format::V2)).await;
    }

    pub(crate) async fn publish_body(&self, topic: &str, priority: Priority, body: impl AsRef<[u8]>) {
        let address = Address::Notification {
            exchange: "openstack".into(),
            topic: topic.into(),
            priority: priority.as_str().into(),
        };
        let message = Message::new(body.as_ref().to_vec());
        let options = PublishOptions::by(soon()).ensure_queue();
        self.publisher.publish(&address, message, &options).await.unwrap();
    }

    /// As [`publish`](Self::publish), with a compressed body and these headers.
    pub(crate) async fn publish_with(
        &self,
        priority: Priority,
        n: impl Into<Value>,
        headers: impl IntoIterator<Item = (String, String)>,
    ) {
        let body = notification(priority, "order.created", &json!({ "n": n.into() })).encode(Format::V2);
        let mut message = Message::new(Compression::Zlib.compress(&body));
        message.headers.extend(headers);
        let message = message.with_header("compression", Compression::Zlib.content_type());
        let address = Address::Notification {
            exchange: "openstack".into(),
            topic: "notifications".into(),
            priority: priority.as_str().into(),
        };
        let options = PublishOptions::by(soon()).ensure_queue();
        self.publisher.publish(&address, message, &options).await.unwrap();
    }

    /// Publishes an event to the dead letters of `queue`, with these headers.
    pub(crate) async fn publish_dead(&self, queue: &str, headers: impl IntoIterator<Item = (String, String)>) {
        let body = notification(Priority::Info, "order.created", &json!({ "n": 0 })).encode(Format::V2);
        let mut message = Message::new(body);
        message.headers.extend(headers);
        let address = Address::Queue { name: format!("{queue}.dead") };
        self.publisher.publish(&address, message, &PublishOptions::by(soon())).await.unwrap();
    }

    /// A listener to `notifications`.
    pub(crate) fn listener(&self) -> NotificationListenerBuilder {
        NotificationListener::builder(&self.bus).target(Target::topic("notifications"))
    }

    pub(crate) fn ready(&self, queue: &str) -> usize {
        self.broker.queues().into_iter().find(|found| found.name == queue).map_or(0, |found| found.ready)
    }
}

pub(crate) fn notification(priority: Priority, event_type: &str, payload: &Value) -> Notification {
    let mut notification = Notification::new(Payload::from(payload.clone()));
    notification.message_id = Some("1f8e7c9a-0000-4000-8000-000000000001".into());
    notification.publisher_id = Some("shop.host-1".into());
    notification.event_type = Some(event_type.into());
    notification.priority = Some(priority.as_upper_case().into());
    notification.timestamp = Some("2026-11-22 18:11:31.065226".into());
    notification.unique_id = format!("{:032x}", rand());
    notification
}

fn rand() -> u128 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let half = || u128::from(RandomState::new().build_hasher().finish());
    half() << 64 | half()
}

impl Seen {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn note(&self, event: &Event<Value>) {
        let look = Look {
            n: event.payload["n"].clone(),
            attempt: event.attempt,
            redelivered: event.redelivered,
            at: Instant::now(),
        };
        self.events.lock().unwrap().push(look);
        self.bell.notify_waiters();
    }

    pub(crate) fn now(&self) -> Vec<Look> {
        self.events.lock().unwrap().clone()
    }

    pub(crate) fn ns(&self) -> Vec<Value> {
        self.now().into_iter().map(|look| look.n).collect()
    }

    /// What was seen once `count` events were.
    pub(crate) async fn wait(&self, count: usize) -> Vec<Look> {
        let reached = async {
            loop {
                let rung = self.bell.notified();
                if self.events.lock().unwrap().len() >= count {
                    return self.now();
                }
                rung.await;
            }
        };
        let waited = tokio::time::timeout(ARRIVE, reached).await;
        waited.unwrap_or_else(|_| panic!("{} of {count} events were seen", self.now().len()))
    }
}

/// An endpoint that keeps every `info` it is given.
pub(crate) fn keeping(seen: &Arc<Seen>) -> NotificationEndpoint<Seen> {
    answering(seen, |_| async { Ok::<_, Failed>(NotificationResult::Handled) })
}

/// An endpoint that keeps every `info` it is given and then returns what `answer` returns.
pub(crate) fn answering<F, Fut, R>(seen: &Arc<Seen>, answer: F) -> NotificationEndpoint<Seen>
where
    F: Fn(Event<Value>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, Failed>> + Send + 'static,
    R: Into<NotificationResult>,
{
    NotificationEndpoint::shared(Arc::clone(seen)).on(Priority::Info, "*", move |seen: Arc<Seen>, event| {
        seen.note(&event);
        answer(event)
    })
}

/// How a handler of these tests fails.
#[derive(Debug)]
pub(crate) struct Failed;

impl oslo_messaging::Exception for Failed {
    fn failure(&self) -> oslo_messaging::Failure {
        oslo_messaging::Failure::new("shop.errors", "OutOfStock", "none left").with_traceback(["shop.rs:7\n"])
    }
}

pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

pub(crate) fn many(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

/// Two tries, a second apart.
pub(crate) fn twice() -> FailurePolicy {
    FailurePolicy::default().with_attempts(2)
}
