//! Events: one service tells them, another handles them; what fails for good is kept as a dead letter.
//!
//! ```console
//! $ cargo run --example notify
//! $ cargo run --example notify -- --url rabbit://guest:guest@localhost:5672/
//! ```

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::notify::{DeadLetters, FailurePolicy, MessagingSink};
use oslo_messaging::{
    Context, Deadline, Event, Failure, NotificationEndpoint, NotificationListener, Notifier, Priority, Result, Target,
};
use oslo_messaging_examples::connect;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

#[derive(Debug, Deserialize)]
struct Order {
    id: u32,
    item: String,
}

/// A listener's state: where it says what it has done.
struct Billing {
    done: UnboundedSender<String>,
}

impl Billing {
    async fn charge(self: Arc<Self>, event: Event<Order>) -> std::result::Result<(), Failure> {
        if event.payload.item == "unicorn" {
            self.say(format!("try {} of order {} failed", event.attempt, event.payload.id));
            return Err(Failure::new("billing.errors", "NoSuchItem", "there are no unicorns"));
        }
        let request: String = event.context.get("request_id").unwrap_or_default();
        self.say(format!("charged order {} for {} ({request})", event.payload.id, event.publisher_id));
        Ok(())
    }

    fn say(&self, text: String) {
        self.done.send(text).expect("the example listens until its end");
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let bus = connect().await?;
    let soon = || Deadline::after(Duration::from_secs(10));
    let context = Context::new().with("request_id", "req-1").with("auth_token", "a secret");

    // There is no listener yet: the publisher declares the queue, so the event is kept. Of its context only what is allowed
    // leaves the process.
    let sink = MessagingSink::new(&bus).topics(["shop_events"]);
    let notifier = Notifier::from_sink("shop.host-1", sink).allow_context(["request_id"]);
    notifier.info(&context, "order.created", &json!({"id": 1, "item": "a lamp"})).await?;
    println!("notified of order 1");

    let (done, mut said) = unbounded_channel();
    let endpoint = NotificationEndpoint::new(Billing { done }).on(Priority::Info, "order.*", Billing::charge);
    let policy = FailurePolicy::default().with_attempts(2).with_first_wait(Duration::from_millis(100));
    let listener = NotificationListener::builder(&bus)
        .target(Target::topic("shop_events"))
        .endpoint(endpoint)
        .on_failure(policy)
        .start(soon())
        .await?;
    notifier.info(&context, "order.created", &json!({"id": 2, "item": "unicorn"})).await?;
    for _ in 0..3 {
        println!("{}", said.recv().await.expect("the listener runs"));
    }
    listener.shutdown(soon()).await?;

    let mut dead = DeadLetters::open(&bus, "shop_events.info", soon()).await?;
    if let Some(letter) = dead.next(Duration::from_secs(2)).await? {
        println!("dead letter after {} tries: {}", letter.info().attempts, letter.info().detail);
        letter.discard().await?;
    }
    dead.close(soon()).await?;
    bus.close(soon()).await
}
