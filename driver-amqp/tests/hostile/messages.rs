//! Hostile messages against whatever reads a queue.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oslo_messaging::driver::{Address, Transport as _};
use oslo_messaging::notify::DeadLetters;
use oslo_messaging::{
    Bus, Context, Endpoint, Event, NotificationEndpoint, NotificationListener, Priority, RpcClient, RpcServer, Target,
};
use oslo_messaging_amqp::AmqpTransport;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::MEMORY;
use crate::message::{Hostile, hostile};
use crate::victim::Victim;
use testkit::raw::frame::Payload;
use testkit::raw::publisher::RawPublisher;
use testkit::stage::{ARRIVE, QUIET, Stage, soon, until, within};

/// How much a process may hold at once because of what it is sent: the budget of decompressed bodies of one bus, twice what one
/// body may come to, and the buffers of its connections.
const BOUND: usize = 480 << 20;

/// How many messages have no priority: those are skipped with a warning, as in the reference.
const SKIPPED: usize = 2;

/// The bus under attack, and what it may cost.
struct Attacked {
    stage: Stage,
    transport: Arc<AmqpTransport>,
    bus: Bus,
    raw: RawPublisher,
}

impl Attacked {
    async fn start() -> Self {
        let stage = Stage::shared().await;
        let transport = Arc::new(stage.connect().await);
        let bus = Bus::new(Arc::clone(&transport));
        let raw = RawPublisher::on(&stage).await;
        Self { stage, transport, bus, raw }
    }

    /// Publishes each message to a queue.
    async fn send(&mut self, queue: &str, messages: &[Hostile]) {
        for message in messages {
            self.raw.publish("", queue, &message.properties, &message.body).await;
        }
    }

    /// Nothing was lost but what was hostile, and memory is back to where it was.
    async fn judge(self, before: usize) {
        assert_eq!(self.transport.counters().losses, 0, "the link of the attacked bus was lost");
        let peak = MEMORY.peak_usage();
        assert!(peak <= before + BOUND, "{peak} bytes at once, {before} before");
        until("the memory to return", async || MEMORY.current_usage() <= before + before / 10 + (1 << 20)).await;
        self.bus.close(soon()).await.expect("it closes");
    }
}

/// The bytes in use, from which the next peak is counted.
fn memory() -> usize {
    MEMORY.reset_peak_usage();
    MEMORY.current_usage()
}

pub(crate) async fn to_a_server() {
    let mut attacked = Attacked::start().await;
    let victim = Victim::on(&Stage::shared().await).await;
    let ran = Arc::new(AtomicUsize::new(0));
    let endpoint = Endpoint::new(Arc::clone(&ran))
        .method("count", async |ran: Arc<Arc<AtomicUsize>>, _: Context, (): ()| {
            Ok::<_, Infallible>(ran.fetch_add(1, Ordering::SeqCst))
        });
    let server = RpcServer::builder(&attacked.bus, Target::topic("t").server("host-1")).endpoint(endpoint);
    let server = server.start(soon()).await.expect("a server");
    let messages = hostile(|number| {
        let request = json!({"method": "count", "args": {}, "_unique_id": format!("u{number}")});
        json!({"oslo.version": "2.0", "oslo.message": request.to_string()}).to_string()
    });
    // Warms up what is made once.
    let client = RpcClient::new(&attacked.bus, Target::topic("t"));
    let _: usize = client.call(&Context::new(), "count", &()).await.expect("an answer");
    let before = memory();
    let handled = messages.iter().filter(|message| message.handled).count();
    let attack = async {
        attacked.send("t", &messages).await;
        let what = "every message with a sound body to be handled, and no other";
        until(what, async || ran.load(Ordering::SeqCst) == 1 + handled).await;
        let _: usize =
            within(ARRIVE, "a call", Box::pin(client.call(&Context::new(), "count", &()))).await.expect("an answer");
    };
    let ((), probes) = victim.during(Box::pin(attack)).await;
    assert_eq!(ran.load(Ordering::SeqCst), 2 + handled);
    Victim::judge(probes);
    server.shutdown(soon()).await.expect("it stops");
    attacked.judge(before).await;
    victim.end().await;
}

pub(crate) async fn to_a_caller() {
    let mut attacked = Attacked::start().await;
    let victim = Victim::on(&Stage::shared().await).await;
    let serving = Bus::new(attacked.stage.connect().await);
    let gate = Arc::new(Notify::new());
    let endpoint =
        Endpoint::new(Arc::clone(&gate)).method("wait", async |gate: Arc<Arc<Notify>>, _: Context, (): ()| {
            gate.notified().await;
            Ok::<_, Infallible>("done")
        });
    let server = RpcServer::builder(&serving, Target::topic("t").server("host-1")).endpoint(endpoint);
    let server = server.start(soon()).await.expect("a server");
    let client = RpcClient::new(&attacked.bus, Target::topic("t"));
    gate.notify_one();
    let _: String = client.call(&Context::new(), "wait", &()).await.expect("an answer");
    let queues = attacked.stage.queue_names().await;
    let inbox = queues.iter().find(|name| name.starts_with("reply_")).expect("the reply queue").clone();
    let before = memory();
    let context = Context::new();
    let mut waiting = Box::pin(client.call::<String>(&context, "wait", &()));
    assert!(tokio::time::timeout(QUIET, &mut waiting).await.is_err(), "the method waits");
    let messages = hostile(|number| {
        let reply = json!({"_msg_id": "of no call", "result": null, "_unique_id": format!("u{number}")});
        json!({"oslo.version": "2.0", "oslo.message": reply.to_string()}).to_string()
    });
    let attack = async {
        attacked.send(&inbox, &messages).await;
        gate.notify_one();
        assert_eq!(within(ARRIVE, "the answer", &mut waiting).await.expect("an answer"), "done");
    };
    let ((), probes) = victim.during(Box::pin(attack)).await;
    Victim::judge(probes);
    drop(waiting);
    server.shutdown(soon()).await.expect("it stops");
    serving.close(soon()).await.expect("it closes");
    attacked.judge(before).await;
    victim.end().await;
}

pub(crate) async fn to_a_listener() {
    let mut attacked = Attacked::start().await;
    let victim = Victim::on(&Stage::shared().await).await;
    let heard = Arc::new(AtomicUsize::new(0));
    let endpoint = NotificationEndpoint::new(Arc::clone(&heard)).on(
        Priority::Info,
        "*",
        async |heard: Arc<Arc<AtomicUsize>>, _: Event<Value>| {
            heard.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>(())
        },
    );
    let listener = NotificationListener::builder(&attacked.bus).target(Target::topic("events")).endpoint(endpoint);
    let listener = listener.start(soon()).await.expect("a listener");
    let messages = hostile(event);
    let before = memory();
    let handled = messages.iter().filter(|message| message.handled).count();
    let attack = async {
        attacked.send("events.info", &messages).await;
        attacked.raw.publish("", "events.info", &Payload::default().number16(0), event(999).as_bytes()).await;
        until("the sound events", async || heard.load(Ordering::SeqCst) > handled).await;
    };
    let ((), probes) = victim.during(Box::pin(attack)).await;
    Victim::judge(probes);
    let hostile = (messages.len() - handled - SKIPPED) as u64;
    let dead = Address::Queue { name: "events.info.dead".into() };
    let moved = async || {
        let counts = attacked.transport.inspect(&dead, soon()).await.expect("a look");
        counts.is_some_and(|counts| counts.ready == hostile)
    };
    until("every hostile event to be a dead letter", moved).await;
    listener.shutdown(soon()).await.expect("it stops");
    let mut dead = DeadLetters::open(&attacked.bus, "events.info", soon()).await.expect("dead letters");
    assert_eq!(dead.purge(Duration::from_secs(1)).await.expect("they are there"), hostile);
    dead.close(soon()).await.expect("it closes");
    attacked.judge(before).await;
    victim.end().await;
}

pub(crate) async fn to_dead_letters() {
    let mut attacked = Attacked::start().await;
    // Makes the queue.
    let dead = DeadLetters::open(&attacked.bus, "events.info", soon()).await.expect("dead letters");
    dead.close(soon()).await.expect("it closes");
    let messages = hostile(event);
    let before = memory();
    attacked.send("events.info.dead", &messages).await;
    let mut dead = DeadLetters::open(&attacked.bus, "events.info", soon()).await.expect("dead letters");
    for message in &messages {
        let letter = within(ARRIVE, "a letter", dead.next(ARRIVE)).await.expect("no error").expect("a letter");
        assert_eq!(letter.event().is_ok(), message.handled, "{}", message.name);
        letter.discard().await.expect("it is thrown away");
    }
    dead.close(soon()).await.expect("it closes");
    attacked.judge(before).await;
}

/// An event that can be read.
fn event(number: usize) -> String {
    let event = json!({
        "message_id": format!("m{number}"), "publisher_id": "shop", "event_type": "order.created", "priority": "INFO",
        "payload": {}, "timestamp": "2026-11-30 00:00:00.000000", "_unique_id": format!("u{number}"),
    });
    json!({"oslo.version": "2.0", "oslo.message": event.to_string()}).to_string()
}
