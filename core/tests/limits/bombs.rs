//! Compressed bodies that grow without end, beside peers that behave.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oslo_messaging::driver::{Address, Message, PublishOptions, Transport};
use oslo_messaging::notify::{DeadLetters, DeadReason};
use oslo_messaging::wire::compression::HEADER;
use oslo_messaging::wire::{Compression, Format, Notification, Request};
use oslo_messaging::{
    Bus, Context, Endpoint, Event, NotificationEndpoint, NotificationListener, Payload, Priority, RpcClient, RpcServer,
    Target,
};
use oslo_messaging_fake::{FakeBroker, FakeTransport};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::{MIB, run, soon};

const BOMBS: usize = 20;

/// A body of a few hundred bytes that grows to 12 MiB.
fn bomb() -> Bytes {
    Compression::Bzip2.compress(&vec![0; 12 * MIB])
}

fn compressed(body: Bytes) -> Message {
    Message::new(body).with_header(HEADER, Compression::Bzip2.content_type())
}

/// A bus that takes bodies of 8 MiB, and 32 MiB of them at once.
fn bus(broker: &FakeBroker) -> Bus {
    Bus::builder(broker.transport()).decompressed_limit(8 * MIB).decompressed_budget(32 * MIB).build()
}

async fn send(stranger: &FakeTransport, to: &Address, message: Message) {
    stranger.publish(to, message, &PublishOptions::by(soon()).ensure_queue()).await.unwrap();
}

fn unsettled(broker: &FakeBroker, queue: &str) -> usize {
    let queues = broker.queues().into_iter().filter(|state| state.name.starts_with(queue));
    queues.map(|state| state.ready + state.unsettled).sum()
}

/// Waits until `done`, or fails.
async fn until(what: &str, done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(240), waiting).await.is_ok(), "{what}");
}

fn echo() -> Endpoint<()> {
    Endpoint::new(())
        .method("echo", async |_: Arc<()>, _: Context, args: Value| Ok::<_, Infallible>(args))
        .method("length", async |_: Arc<()>, _: Context, args: Value| {
            Ok::<_, Infallible>(args["text"].as_str().map(str::len))
        })
}

fn topic() -> Address {
    Address::Topic { exchange: "openstack".into(), topic: "shop".into() }
}

#[test]
fn bombs_on_a_servers_queue_do_not_hold_up_other_requests() {
    run(async {
        let broker = FakeBroker::new();
        let bus = bus(&broker);
        // At least once, so that the broker knows which bombs are not dealt with yet.
        let server = RpcServer::builder(&bus, Target::topic("shop").server("s")).endpoint(echo()).at_least_once();
        let server = server.start(soon()).await.unwrap();
        let stranger = broker.transport();
        let bomb = bomb();
        for _ in 0..BOMBS {
            send(&stranger, &topic(), compressed(bomb.clone())).await;
        }
        let client = RpcClient::new(&bus, Target::topic("shop"));
        let args = json!({"arg": 1});
        assert_eq!(client.call::<Value>(&Context::new(), "echo", &args).await.unwrap(), args);
        let left = unsettled(&broker, "shop");
        assert!(left >= 2, "{left} bombs are left when the request behind them is answered");
        until("every bomb is dropped", || unsettled(&broker, "shop") == 0).await;
        let long = json!({"text": "x".repeat(4 * MIB)});
        assert_eq!(client.call::<usize>(&Context::new(), "length", &long).await.unwrap(), 4 * MIB);
        server.shutdown(soon()).await.unwrap();
    });
}

#[test]
fn bombs_on_a_reply_queue_do_not_hold_up_replies() {
    run(async {
        let broker = FakeBroker::new();
        let bus = bus(&broker);
        let server = RpcServer::builder(&bus, Target::topic("shop").server("s")).endpoint(echo());
        let server = server.start(soon()).await.unwrap();
        let client = RpcClient::new(&bus, Target::topic("shop"));
        let args = json!({"arg": 1});
        assert_eq!(client.call::<Value>(&Context::new(), "echo", &args).await.unwrap(), args);
        let inbox = broker.queues().into_iter().find(|queue| queue.name.starts_with("reply_")).unwrap();
        let (stranger, bomb) = (broker.transport(), bomb());
        for _ in 0..BOMBS {
            send(&stranger, &Address::Direct { queue: inbox.name.clone() }, compressed(bomb.clone())).await;
        }
        assert_eq!(client.call::<Value>(&Context::new(), "echo", &args).await.unwrap(), args);
        let left = unsettled(&broker, "reply_");
        assert!(left >= 2, "{left} bombs are left when the reply behind them has come");
        until("every bomb is dropped", || unsettled(&broker, "reply_") == 0).await;
        server.shutdown(soon()).await.unwrap();
    });
}

#[test]
fn bombs_for_a_listener_become_dead_letters_and_do_not_hold_up_events() {
    run(async {
        let broker = FakeBroker::new();
        let bus = bus(&broker);
        let (seen_to, mut seen) = unbounded_channel();
        let endpoint = NotificationEndpoint::new(seen_to).on(
            Priority::Info,
            "*",
            async |seen: Arc<UnboundedSender<Value>>, event: Event<Value>| {
                seen.send(event.payload).unwrap();
                Ok::<_, Infallible>(())
            },
        );
        let listener = NotificationListener::builder(&bus).target(Target::topic("notifications")).endpoint(endpoint);
        let listener = listener.start(soon()).await.unwrap();
        let (stranger, bomb) = (broker.transport(), bomb());
        let to = Address::Notification {
            exchange: "openstack".into(),
            topic: "notifications".into(),
            priority: "info".into(),
        };
        for _ in 0..BOMBS {
            send(&stranger, &to, compressed(bomb.clone())).await;
        }
        let mut event = Notification::new(Payload::from(json!("good")));
        event.priority = Some("INFO".into());
        send(&stranger, &to, Message::new(event.encode(Format::V2))).await;
        assert_eq!(seen.recv().await.unwrap(), json!("good"));
        let dead = || unsettled(&broker, "notifications.info.dead");
        assert!(dead() + 2 <= BOMBS, "{} bombs were dealt with before the event behind them", dead());
        until("every bomb is moved", || dead() == BOMBS).await;
        listener.shutdown(soon()).await.unwrap();
        let mut letters = DeadLetters::open(&bus, "notifications.info", soon()).await.unwrap();
        let letter = letters.next(Duration::from_secs(1)).await.unwrap().unwrap();
        assert_eq!(letter.info().reason, DeadReason::Undecodable);
        assert!(letter.info().detail.contains("too large (limit: 8388608)"), "{}", letter.info().detail);
    });
}

#[test]
fn a_method_that_holds_the_whole_budget_still_has_replies_and_what_was_taken_runs_at_a_stop() {
    run(async {
        let broker = FakeBroker::new();
        // A request of 2 MiB fills it.
        let bus = Bus::builder(broker.transport()).decompressed_budget(2 * MIB).build();
        let far = Bus::new(broker.transport());
        let depot = RpcServer::builder(&far, Target::topic("depot").server("d")).endpoint(echo());
        let depot = depot.start(soon()).await.unwrap();
        let (ran_to, mut ran) = unbounded_channel();
        let nested = RpcClient::new(&bus, Target::topic("depot"));
        let endpoint = Endpoint::new((nested, ran_to)).method(
            "nested",
            async |state: Arc<(RpcClient, UnboundedSender<usize>)>, context: Context, args: Value| {
                let length: usize = state.0.call(&context, "length", &args).await?;
                state.1.send(length).unwrap();
                Ok::<_, oslo_messaging::Error>(())
            },
        );
        let server = RpcServer::builder(&bus, Target::topic("shop").server("s")).endpoint(endpoint).concurrency(4);
        let server = server.start(soon()).await.unwrap();
        let stranger = broker.transport();
        for _ in 0..6 {
            let args = Payload::from(json!({"text": "x".repeat(2 * MIB)}));
            let message = Message::new(Request::new("nested", args).encode());
            send(&stranger, &topic(), message).await;
        }
        assert_eq!(ran.recv().await.unwrap(), 2 * MIB);
        server.stop(soon()).await.unwrap();
        let left = unsettled(&broker, "shop");
        server.shutdown(soon()).await.unwrap();
        let mut ran_after = 0;
        while ran.try_recv().is_ok() {
            ran_after += 1;
        }
        assert_eq!(1 + ran_after + left, 6, "{left} were left with the broker");
        depot.shutdown(soon()).await.unwrap();
    });
}
