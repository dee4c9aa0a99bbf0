//! Deadlines of callers whose clocks are wrong, and of callers that write none.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oslo_messaging::driver::{Address, Listener, Message, PublishOptions, Source, Subscription, Transport as _};
use oslo_messaging::{Bus, Context, Deadline, Endpoint, RpcClient, RpcServer, Target, wire};
use oslo_messaging_fake::{FakeBroker, FakeTransport};
use serde_json::{Value, json};

use crate::common::{Shop, builder, bus_server_and_shop, secs, soon};
use crate::support::{client, request, shop_topic};

const HOUR: u64 = 3_600;

/// A caller with a queue of its own, whose requests are made by hand.
struct Caller {
    transport: FakeTransport,
    inbox: Box<dyn Listener>,
    queue: String,
}

impl Caller {
    async fn of(broker: &FakeBroker) -> Self {
        let transport = broker.transport();
        let inbox = transport.subscribe(&Subscription::new(Source::Inbox), soon()).await.unwrap();
        let Address::Direct { queue } = inbox.address().clone() else { panic!("an inbox has an address of its own") };
        Self { transport, inbox, queue }
    }

    async fn send(&self, request: wire::Request, expiration: Option<Duration>) {
        let mut message = Message::new(request.encode());
        message.expiration = expiration;
        let options = PublishOptions::by(soon()).mandatory();
        self.transport.publish(&shop_topic(), message, &options).await.unwrap();
    }

    fn call(&self, method: &str, id: &str) -> wire::Request {
        let call = Some(wire::CallFields::new(id.to_owned(), self.queue.clone()));
        request(method, id).with_call(call)
    }

    async fn answer(&mut self) -> wire::Reply {
        let polled = tokio::time::timeout(secs(60), self.inbox.poll(NonZeroUsize::MIN)).await.expect("an answer");
        wire::Reply::decode(polled.unwrap().unwrap()[0].message()).unwrap()
    }
}

fn unix_ms(ahead: i64) -> Option<u64> {
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    u64::try_from((now + ahead) * 1_000).ok()
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_caller_whose_clock_is_an_hour_behind_runs() {
    let broker = FakeBroker::new();
    let (_bus, server, shop) = bus_server_and_shop(&broker).await;
    let mut caller = Caller::of(&broker).await;
    let behind = -i64::try_from(HOUR).unwrap() + 60;
    caller.send(caller.call("note", "a").with_deadline(unix_ms(behind)), Some(secs(60))).await;
    assert_eq!(caller.answer().await.result.decode::<Value>().unwrap(), json!("a"));
    assert_eq!(shop.logged(), [json!("a")]);
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_skipped_is_answered_that_it_did_not_run() {
    let broker = FakeBroker::new();
    let (_bus, server, shop) = bus_server_and_shop(&broker).await;
    let mut caller = Caller::of(&broker).await;
    // Without an expiration nothing speaks against its clock.
    caller.send(caller.call("note", "a").with_deadline(unix_ms(-60)), None).await;
    let answer = caller.answer().await;
    let failure = answer.failure.unwrap();
    assert_eq!((failure.module(), failure.class()), ("oslo_messaging_rust", "RequestNotRun"), "{failure}");
    // The two read the clock of the machine one after the other, and a busy machine lets seconds pass between.
    let text = failure.message().split_once("deadline passed ").and_then(|(_, rest)| rest.split_once('s'));
    let passed: f64 = text.and_then(|(seconds, _)| seconds.parse().ok()).expect("the message says how long ago");
    assert!((59.0..90.0).contains(&passed), "{failure}");
    assert!(shop.logged().is_empty());
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_grew_stale_while_it_waited_here_is_answered_so_whoever_wrote_it() {
    for (deadline, expiration) in [(unix_ms(20), None), (None, Some(secs(20)))] {
        let broker = FakeBroker::new();
        let bus = Bus::new(broker.transport());
        let shop = Arc::new(Shop::default());
        let server = builder(&bus, &shop).concurrency(1).reserve(8).start(soon()).await.unwrap();
        let mut caller = Caller::of(&broker).await;
        client(&bus).cast(&Context::new(), "gated", &json!({"arg": "first"})).await.unwrap();
        shop.entered(1).await;
        caller.send(caller.call("note", "late").with_deadline(deadline), expiration).await;
        caller.send(caller.call("note", "patient"), None).await;
        tokio::time::sleep(secs(30)).await;
        shop.release.add_permits(1);
        let mut failures = Vec::new();
        for _ in 0..2 {
            let answer = caller.answer().await;
            failures.push((answer.msg_id, answer.failure.map(|failure| failure.class().to_owned())));
        }
        failures.sort();
        let expected = [("late".to_owned(), Some("RequestNotRun".to_owned())), ("patient".to_owned(), None)];
        assert_eq!(failures, expected);
        server.shutdown(soon()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_expiration_of_a_call_is_the_deadline_of_its_method_and_of_what_that_calls() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (note, inner) = (Arc::clone(&seen), client(&bus));
    let relay = Endpoint::new(inner).method("relay", move |inner: Arc<RpcClient>, context: Context, (): ()| {
        let note = Arc::clone(&note);
        async move {
            note.lock().unwrap().push(context.deadline().map(Deadline::remaining));
            let began = tokio::time::Instant::now();
            let _ = inner.call::<Value>(&context, "hang", &()).await;
            note.lock().unwrap().push(Some(began.elapsed()));
            Ok::<_, Infallible>(())
        }
    });
    let shop = Arc::new(Shop::default());
    let inner_server = builder(&bus, &shop).start(soon()).await.unwrap();
    let server =
        RpcServer::builder(&bus, Target::topic("desk").server("d")).endpoint(relay).start(soon()).await.unwrap();
    let mut caller = Caller::of(&broker).await;
    let desk = Address::Topic { exchange: "openstack".into(), topic: "desk".into() };
    let mut body = caller.call("relay", "a");
    body.args = oslo_messaging::Payload::encode(&json!({})).unwrap();
    let message = Message::new(body.encode()).with_expiration(secs(5));
    broker.transport().publish(&desk, message, &PublishOptions::by(soon()).mandatory()).await.unwrap();
    caller.answer().await;
    assert_eq!(*seen.lock().unwrap(), [Some(secs(5)), Some(secs(5))]);
    server.shutdown(soon()).await.unwrap();
    drop(inner_server);
}

#[tokio::test(start_paused = true)]
async fn no_request_is_refused_on_arrival_for_its_expiration() {
    let broker = FakeBroker::new();
    let (_bus, server, shop) = bus_server_and_shop(&broker).await;
    let mut caller = Caller::of(&broker).await;
    caller.send(caller.call("note", "a"), Some(Duration::ZERO)).await;
    assert!(caller.answer().await.failure.is_none());
    assert_eq!(shop.logged(), [json!("a")]);
    server.shutdown(soon()).await.unwrap();
}
