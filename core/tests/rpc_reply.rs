//! Replies that cannot be sent at once: they are bounded, their callers get a failure where that is possible, and other
//! replies are not delayed.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod common;

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use common::{Shop, builder, bus_server_and_shop, secs, soon};
use oslo_messaging::driver::{Address, Message, PublishOptions, Source, Subscription, Transport};
use oslo_messaging::{
    Bus, Context, Deadline, Endpoint, ErrorKind, Executed, Failure, Payload, RpcClient, Target, wire,
};
use oslo_messaging_fake::{FakeBroker, FakeConfig, Fault, FaultRule};
use serde_json::{Value, json};
use tokio::time::Instant;

fn client(bus: &Bus) -> RpcClient {
    RpcClient::new(bus, Target::topic("shop"))
}

/// Publishes a call of `note` whose caller reads `reply_q` until `timeout` has passed.
async fn call_from(broker: &FakeBroker, reply_q: &str, number: u32, timeout: Option<Duration>) {
    call_to(broker, "note", reply_q, number, timeout).await;
}

async fn call_to(broker: &FakeBroker, method: &str, reply_q: &str, number: u32, timeout: Option<Duration>) {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    let request = wire::Request::new(method.to_owned(), Payload::encode(&json!({ "arg": number })).unwrap())
        .with_call(Some(wire::CallFields::new(format!("{number:032}"), reply_q.to_owned())))
        .with_unique_id(format!("unique-{number}"))
        .with_deadline(timeout.map(|timeout| u64::try_from((now + timeout).as_millis()).unwrap()));
    let shop = Address::Topic { exchange: "openstack".into(), topic: "shop".into() };
    let options = PublishOptions::by(soon()).mandatory();
    broker.transport().publish(&shop, Message::new(request.encode()), &options).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_caller_gets_a_failure_at_once_for_an_answer_that_is_too_large() {
    let broker = FakeBroker::with_config(FakeConfig::default().with_max_message_size(4_000));
    let bus = Bus::new(broker.transport());
    let long = Endpoint::new(())
        .method("long", async |_: Arc<()>, _: Context, (): ()| Ok::<_, Infallible>("x".repeat(5_000)))
        .method("long_failure", async |_: Arc<()>, _: Context, (): ()| {
            Err::<(), _>(Failure::new("shop.errors", "Broken", "x".repeat(5_000)))
        });
    let server = builder(&bus, &Arc::new(Shop::default())).endpoint(long).start(soon()).await.unwrap();
    let started = Instant::now();
    for method in ["long", "long_failure"] {
        let error = client(&bus).call::<Value>(&Context::new(), method, &()).await.unwrap_err();
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Remote, Executed::Yes), "{method}: it ran");
        let remote = error.remote().unwrap();
        assert_eq!((remote.module(), remote.class()), ("oslo_messaging.exceptions", "MessageDeliveryFailure"));
        assert!(remote.message().contains("too large") && remote.message().contains("4000"), "{remote}");
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_sent_is_replaced_once_and_then_given_up() {
    let broker = FakeBroker::new();
    let (bus, server, shop) = bus_server_and_shop(&broker).await;
    let started = Instant::now();
    // No queue can have such a name, so neither the answer nor its replacement is taken.
    call_from(&broker, &"x".repeat(300), 1, None).await;
    let _: Value = client(&bus).call(&Context::new(), "note", &json!({"arg": 2})).await.unwrap();
    server.shutdown(soon()).await.unwrap();
    assert_eq!((shop.logged().len(), started.elapsed()), (2, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_died_with_a_long_deadline_is_given_up_after_a_minute() {
    let broker = FakeBroker::new();
    let (bus, server, _) = bus_server_and_shop(&broker).await;
    let started = Instant::now();
    call_from(&broker, "reply_gone", 1, Some(secs(20 * 3_600))).await;
    let _: Value = client(&bus).call(&Context::new(), "note", &json!({"arg": 2})).await.unwrap();
    server.shutdown(Deadline::after(secs(24 * 3_600))).await.unwrap();
    let tried = started.elapsed();
    assert!((secs(50)..=secs(61)).contains(&tried), "{tried:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reply_waits_out_a_broker_that_is_away_for_as_long_as_its_caller_does() {
    let broker = FakeBroker::new();
    let (bus, server, shop) = bus_server_and_shop(&broker).await;
    let patient = client(&bus).timeout(secs(600));
    let context = Context::new();
    let args = json!({"arg": 1});
    let answer = patient.call::<Value>(&context, "gated", &args);
    let alarm = async {
        shop.entered(1).await;
        broker.faults().block("memory");
        shop.release.add_permits(1);
        tokio::time::sleep(secs(300)).await;
        broker.faults().unblock();
    };
    let (answered, ()) = tokio::join!(answer, alarm);
    assert_eq!(answered.unwrap(), json!(1));
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn replies_that_wait_for_a_dead_caller_do_not_starve_a_server_that_settles_after_the_answer() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).concurrency(1).reserve(0).at_least_once().start(soon()).await.unwrap();
    let started = Instant::now();
    for number in 0..20 {
        call_from(&broker, "reply_gone", number, None).await;
    }
    let _: Value = client(&bus).call(&Context::new(), "note", &json!({"arg": "living"})).await.unwrap();
    assert!(started.elapsed() < secs(1), "the living waited {:?} for the dead", started.elapsed());
    server.shutdown(Deadline::after(secs(120))).await.unwrap();
    assert_eq!(shop.logged().len(), 21);
}

/// Answers of a caller whose calls are still there when its queue is not.
#[tokio::test(start_paused = true)]
async fn callers_that_are_gone_hold_back_no_answer_to_another() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).concurrency(64).start(soon()).await.unwrap();
    let started = Instant::now();
    for number in 0..320 {
        call_from(&broker, "reply_gone", number, None).await;
    }
    for number in 320..640 {
        call_from(&broker, &format!("reply_gone_{number}"), number, None).await;
    }
    let _: Value = client(&bus).call(&Context::new(), "note", &json!({"arg": "living"})).await.unwrap();
    assert!(started.elapsed() < secs(1), "the living waited {:?} for the dead", started.elapsed());
    assert_eq!(shop.logged().len(), 641);
    server.shutdown(Deadline::after(secs(120))).await.unwrap();
    assert!(started.elapsed() <= secs(62), "they are given up together after {:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_brings_its_queue_back_gets_every_answer() {
    let broker = FakeBroker::new();
    let (bus, server, shop) = bus_server_and_shop(&broker).await;
    let transport = broker.transport();
    let published = broker.counters().published;
    for number in 0..400 {
        call_from(&broker, "reply_away", number, Some(secs(600))).await;
    }
    tokio::time::sleep(secs(30)).await;
    assert_eq!(shop.logged().len(), 400);
    let tries = broker.counters().returned;
    assert!(tries < 400, "{tries} tries of 400 replies in half a minute");
    let back = Subscription::new(Source::Queue { name: "reply_away".into() });
    let mut inbox = transport.subscribe(&back, soon()).await.unwrap();
    let mut answers = 0;
    let reading = async {
        while answers < 400 {
            answers += inbox.poll(NonZeroUsize::new(100).unwrap()).await.unwrap().unwrap().len();
        }
    };
    assert!(tokio::time::timeout(secs(10), reading).await.is_ok(), "{answers} of 400 came");
    assert!(broker.counters().published > published);
    drop(bus);
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reply_queue_that_refuses_everything_is_given_up_after_a_minute_whatever_deadline_it_left() {
    let broker = FakeBroker::new();
    let (bus, server, _) = bus_server_and_shop(&broker).await;
    let full = |to: &Address, _: &Message| *to == Address::Direct { queue: "reply_full".into() };
    broker.faults().add(FaultRule::new(Fault::Nack).when(full).times(u64::MAX));
    let started = Instant::now();
    for number in 0..400 {
        call_from(&broker, "reply_full", number, Some(secs(23 * 3_600))).await;
    }
    let _: Value = client(&bus).call(&Context::new(), "note", &json!({"arg": "living"})).await.unwrap();
    assert!(started.elapsed() < secs(1), "the living waited {:?}", started.elapsed());
    server.shutdown(Deadline::after(secs(24 * 3_600))).await.unwrap();
    assert!(started.elapsed() <= secs(62), "they were tried for {:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_caller_whose_clock_is_behind_ours_still_gets_its_answer() {
    let broker = FakeBroker::new();
    let (_bus, server, shop) = bus_server_and_shop(&broker).await;
    let transport = broker.transport();
    let mut inbox = transport.subscribe(&Subscription::new(Source::Inbox), soon()).await.unwrap();
    let Address::Direct { queue } = inbox.address().clone() else { panic!("an inbox has an address of its own") };
    call_to(&broker, "gated", &queue, 1, Some(secs(3))).await;
    shop.entered(1).await;
    tokio::time::sleep(secs(4)).await;
    shop.release.add_permits(1);
    let answer = tokio::time::timeout(secs(60), inbox.poll(NonZeroUsize::MIN)).await;
    assert!(answer.is_ok_and(|polled| polled.is_ok()), "the answer came 4 s after the call, by a clock 3 s behind");
    server.shutdown(soon()).await.unwrap();
}
