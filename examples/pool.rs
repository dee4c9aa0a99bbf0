//! Pools: every pool has a copy of every event, and its members share it. A tap looks on and takes nothing.
//!
//! ```console
//! $ cargo run --example pool
//! ```

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::notify::{MessagingSink, NotificationListenerBuilder};
use oslo_messaging::{
    Bus, Context, Deadline, Event, NotificationEndpoint, NotificationListener, Notifier, Priority, Result, Target,
};
use oslo_messaging_examples::connect;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const EVENTS: usize = 10;

struct Ear {
    name: &'static str,
    heard: UnboundedSender<&'static str>,
}

impl Ear {
    async fn hear(self: Arc<Self>, _: Event<Value>) -> std::result::Result<(), Infallible> {
        // The example stops counting once it has its numbers.
        let _ = self.heard.send(self.name);
        Ok(())
    }
}

fn listener(bus: &Bus, name: &'static str, heard: &UnboundedSender<&'static str>) -> NotificationListenerBuilder {
    let ear = Ear { name, heard: heard.clone() };
    let endpoint = NotificationEndpoint::new(ear).on(Priority::Audit, "*", Ear::hear);
    NotificationListener::builder(bus).target(Target::topic("logins")).endpoint(endpoint)
}

#[tokio::main]
async fn main() -> Result<()> {
    let bus = connect().await?;
    let soon = || Deadline::after(Duration::from_secs(10));
    let (heard, mut names) = unbounded_channel();

    let listeners = [
        listener(&bus, "default", &heard).start(soon()).await?,
        listener(&bus, "alarm 1", &heard).pool("logins_alarm").start(soon()).await?,
        listener(&bus, "alarm 2", &heard).pool("logins_alarm").start(soon()).await?,
        listener(&bus, "tap", &heard).tap().start(soon()).await?,
    ];
    let notifier = Notifier::from_sink("door.host-1", MessagingSink::new(&bus).topics(["logins"]));
    for n in 0..EVENTS {
        notifier.audit(&Context::new(), "login", &json!({ "n": n })).await?;
    }

    let mut counts = std::collections::BTreeMap::<_, usize>::new();
    for _ in 0..3 * EVENTS {
        *counts.entry(names.recv().await.expect("the listeners run")).or_default() += 1;
    }
    let of = |name| counts.get(name).copied().unwrap_or_default();
    println!("default: {}, alarms: {}, tap: {}", of("default"), of("alarm 1") + of("alarm 2"), of("tap"));
    println!("the alarms share: {}", of("alarm 1") > 0 && of("alarm 2") > 0);
    for listener in listeners {
        listener.shutdown(soon()).await?;
    }
    bus.close(soon()).await
}
