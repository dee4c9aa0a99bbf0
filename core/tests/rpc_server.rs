//! What a server does on the fake broker: lifecycle, settlement, permits, layers, and what it refuses.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::{Shop, builder, bus_and_server, bus_server_and_shop, secs, soon};
use oslo_messaging::{
    Address, Bus, Capabilities, Capability, Context, Deadline, Error, ErrorKind, Executed, Failure, Health, Listener,
    Message, Payload, PublishOptions, RpcClient, RpcServer, Serializer, Subscription, Target, Transport, wire,
};
use oslo_messaging_fake::{FakeBroker, FakeTransport};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

fn client(bus: &Bus) -> RpcClient {
    RpcClient::new(bus, Target::topic("shop"))
}

fn shop_topic() -> Address {
    Address::Topic { exchange: "openstack".into(), topic: "shop".into() }
}

fn request(method: &str, unique_id: &str) -> wire::Request {
    wire::Request {
        method: method.to_owned(),
        args: Payload::encode(&json!({"arg": unique_id})).unwrap(),
        namespace: None,
        version: None,
        call: None,
        unique_id: unique_id.to_owned(),
        deadline: None,
        context: Vec::new(),
    }
}

/// Publishes a hand-made request and returns once the server has seen what was sent before and after it.
async fn send(bus: &Bus, broker: &FakeBroker, bodies: Vec<Bytes>) {
    let transport = broker.transport();
    for body in bodies {
        let options = PublishOptions::by(soon()).mandatory();
        transport.publish(&shop_topic(), Message::new(body), &options).await.unwrap();
    }
    let _: Value = client(bus).call(&Context::new(), "echo", &json!({"arg": "fence"})).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_topic_or_a_name_does_not_start() {
    let bus = Bus::new(FakeBroker::new().transport());
    for target in [Target::default().server("s1"), Target::topic("shop")] {
        let error = RpcServer::builder(&bus, target).start(soon()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidTarget);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_cannot_settle_after_the_answer_and_refuse_what_comes_back() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let both = builder(&bus, &Arc::new(Shop::default())).at_least_once().refuse_redelivered();
    let error = both.start(soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("at_least_once") && error.to_string().contains("refuse_redelivered"), "{error}");
    assert!(broker.queues().is_empty(), "no queue was declared for it");
}

#[tokio::test(start_paused = true)]
async fn stop_is_idempotent_and_wait_sees_running_methods_out() {
    let (bus, server, shop) = bus_server_and_shop(&FakeBroker::new()).await;
    let caller = client(&bus);
    let context = Context::new();
    let args = json!({"arg": 1});
    let call = caller.call::<Value>(&context, "gated", &args);
    let stopping = async {
        shop.entered(1).await;
        let (one, two) = tokio::join!(server.stop(soon()), server.stop(soon()));
        one.unwrap();
        two.unwrap();
        shop.release.add_permits(1);
        server.wait(soon()).await
    };
    let (answered, ended) = tokio::join!(call, stopping);
    assert_eq!(answered.unwrap(), json!(1));
    ended.unwrap();
}

#[tokio::test(start_paused = true)]
async fn wait_gives_up_at_its_deadline_and_aborts_what_still_runs() {
    let broker = FakeBroker::new();
    let (bus, server, shop) = bus_server_and_shop(&broker).await;
    client(&bus).cast(&Context::new(), "hang", &()).await.unwrap();
    shop.entered(1).await;
    let started = Instant::now();
    let error = server.wait(Deadline::after(secs(3))).await.unwrap_err();
    assert_eq!((error.kind(), started.elapsed().as_secs()), (ErrorKind::Timeout, 3));
}

#[tokio::test(start_paused = true)]
async fn a_server_starts_again_from_its_builder() {
    let bus = Bus::new(FakeBroker::new().transport());
    let shop = Arc::new(Shop::default());
    let settings = builder(&bus, &shop);
    for round in 0..3 {
        let server = settings.clone().start(soon()).await.unwrap();
        let _: Value = client(&bus).call(&Context::new(), "note", &json!({ "arg": round })).await.unwrap();
        server.wait(soon()).await.unwrap();
    }
    assert_eq!(shop.logged(), [json!(0), json!(1), json!(2)]);
}

#[tokio::test(start_paused = true)]
async fn no_more_methods_run_at_once_than_there_are_permits_and_requests_start_in_order() {
    let bus = Bus::new(FakeBroker::new().transport());
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).concurrency(4).reserve(2).start(soon()).await.unwrap();
    for number in 0..20 {
        client(&bus).cast(&Context::new(), "gated", &json!({ "arg": number })).await.unwrap();
    }
    for started in 1..=5 {
        shop.entered(4).await;
        assert_eq!(shop.logged().len(), started * 4, "four run, and no fifth");
        shop.release.add_permits(4);
    }
    server.wait(soon()).await.unwrap();
    assert_eq!(shop.logged(), (0..20).map(|number| json!(number)).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_saturated_server_acknowledges_in_batches() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).concurrency(64).start(soon()).await.unwrap();
    let requests = 2_000_usize;
    for number in 0..requests {
        client(&bus).cast(&Context::new(), "gated", &json!({ "arg": number })).await.unwrap();
    }
    let before = broker.counters().acknowledgement_writes;
    for _ in 0..requests {
        shop.entered(1).await;
        shop.release.add_permits(1);
    }
    server.wait(soon()).await.unwrap();
    let writes = broker.counters().acknowledgement_writes - before;
    assert!(writes * 10 <= requests as u64, "{writes} acknowledgement writes for {requests} requests");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_twice_runs_once_and_a_second_server_has_its_own_memory() {
    let broker = FakeBroker::new();
    let (bus, server, shop) = bus_server_and_shop(&broker).await;
    let body = request("note", "twin").encode();
    send(&bus, &broker, vec![body.clone(), body]).await;
    assert_eq!(shop.logged(), [json!("twin")]);
    server.wait(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_dropped_and_disturbs_nothing() {
    let broker = FakeBroker::new();
    let (bus, server, shop) = bus_server_and_shop(&broker).await;
    let bodies = [&b""[..], b"\xff\xfe", b"[]", b"{\"oslo.version\":\"9.0\",\"oslo.message\":\"{}\"}", b"{}"];
    send(&bus, &broker, bodies.into_iter().map(Bytes::from_static).collect()).await;
    send(&bus, &broker, vec![request("note", "after").encode()]).await;
    assert_eq!(shop.logged(), [json!("after")]);
    server.wait(soon()).await.unwrap();
    bus.close(soon()).await.unwrap();
    broker.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn a_request_long_past_its_deadline_is_skipped_and_an_absurd_deadline_is_ignored() {
    let broker = FakeBroker::new();
    let (bus, server, shop) = bus_server_and_shop(&broker).await;
    let now = u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let with = |unique_id: &str, deadline| wire::Request { deadline, ..request("note", unique_id) }.encode();
    let bodies = vec![
        with("six seconds late", Some(now - 6_000)),
        with("a little late", Some(now - 1_000)),
        with("years late", Some(1)),
        with("in time", Some(now + 60_000)),
    ];
    send(&bus, &broker, bodies).await;
    assert_eq!(shop.logged(), [json!("a little late"), json!("years late"), json!("in time")]);
    server.wait(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_killed_before_it_answers_loses_the_request_unless_it_settles_after_the_answer() {
    for (at_least_once, executions) in [(false, 1), (true, 2)] {
        let broker = FakeBroker::new();
        let bus = Bus::new(broker.transport());
        let shop = Arc::new(Shop::default());
        let settings = |bus: &Bus| {
            let settings = builder(bus, &shop);
            if at_least_once { settings.at_least_once() } else { settings }
        };
        let dying_bus = Bus::new(broker.transport());
        let dying = settings(&dying_bus).start(soon()).await.unwrap();
        client(&bus).cast(&Context::new(), "gated", &json!({"arg": 1})).await.unwrap();
        shop.entered(1).await;
        drop(dying);
        drop(dying_bus);
        let second = settings(&bus).start(soon()).await.unwrap();
        shop.release.add_permits(10);
        let _: Value = client(&bus).call(&Context::new(), "gated", &json!({"arg": "fence"})).await.unwrap();
        second.wait(soon()).await.unwrap();
        assert_eq!(shop.logged().iter().filter(|arg| **arg == json!(1)).count(), executions, "{at_least_once}");
    }
}

#[tokio::test(start_paused = true)]
async fn refuse_redelivered_answers_without_running() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let shop = Arc::new(Shop::default());
    // A first reader takes the request and dies before it settles it, so that the broker marks the next delivery.
    let taker_bus = Bus::new(broker.transport());
    let taker = builder(&taker_bus, &shop).at_least_once().start(soon()).await.unwrap();
    let caller = client(&bus);
    let context = Context::new();
    let args = json!({"arg": 1});
    let call = caller.call::<Value>(&context, "gated", &args);
    let takeover = async {
        shop.entered(1).await;
        drop(taker);
        drop(taker_bus);
        builder(&bus, &shop).refuse_redelivered().start(soon()).await.unwrap()
    };
    let (answered, server) = tokio::join!(call, takeover);
    let error = answered.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Remote, Executed::Maybe));
    assert_eq!(shop.logged().len(), 1, "only the first server ran it");
    server.wait(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn ping_answers_on_option_only() {
    let bus = Bus::new(FakeBroker::new().transport());
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).start(soon()).await.unwrap();
    let ping = "oslo_rpc_server_ping";
    let error = client(&bus).call::<String>(&Context::new(), ping, &()).await.unwrap_err();
    assert_eq!(error.remote().unwrap().class(), "NoSuchMethod");
    server.wait(soon()).await.unwrap();
    let server = builder(&bus, &shop).ping().start(soon()).await.unwrap();
    assert_eq!(client(&bus).call::<String>(&Context::new(), ping, &()).await.unwrap(), "pong");
    server.wait(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn any_tower_layer_fits_around_the_dispatcher() {
    let bus = Bus::new(FakeBroker::new().transport());
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop)
        .layer(tower::timeout::TimeoutLayer::new(secs(2)))
        .layer(tower::limit::GlobalConcurrencyLimitLayer::new(1))
        .start(soon())
        .await
        .unwrap();
    let started = Instant::now();
    let error = client(&bus).call::<Value>(&Context::new(), "sleep", &json!({"secs": 30})).await.unwrap_err();
    assert_eq!(error.remote().unwrap().class(), "RequestFailed", "{error}");
    assert_eq!(started.elapsed().as_secs(), 2);
    assert_eq!(client(&bus).call::<Value>(&Context::new(), "echo", &json!({"arg": 1})).await.unwrap(), json!(1));
    server.wait(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_monitored_call_of_an_unknown_method_leaves_no_heartbeat_behind() {
    let broker = FakeBroker::new();
    let (bus, server) = bus_and_server(&broker).await;
    let monitored = client(&bus).monitor(secs(2));
    let error = monitored.call::<()>(&Context::new(), "missing", &()).await.unwrap_err();
    assert_eq!(error.remote().unwrap().class(), "NoSuchMethod");
    let published = broker.counters().published;
    tokio::time::advance(secs(60)).await;
    let _: Value = client(&bus).call(&Context::new(), "echo", &json!({"arg": 1})).await.unwrap();
    assert_eq!(broker.counters().published - published, 2, "the request and the reply of the last call, nothing else");
    server.wait(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_gone_keeps_no_permit_and_its_reply_is_given_up() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).concurrency(1).reserve(0).start(soon()).await.unwrap();
    let orphan = wire::Request {
        call: Some(wire::CallFields { msg_id: "0".repeat(32), reply_q: "reply_gone".into(), monitor: None }),
        ..request("note", "orphan")
    };
    broker
        .transport()
        .publish(&shop_topic(), Message::new(orphan.encode()), &PublishOptions::by(soon()))
        .await
        .unwrap();
    let started = Instant::now();
    let _: Value = client(&bus).call(&Context::new(), "echo", &json!({"arg": 1})).await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(10), "the one permit was free: {:?}", started.elapsed());
    server.wait(Deadline::after(secs(120))).await.unwrap();
    let tried = started.elapsed();
    assert!((secs(55)..=secs(61)).contains(&tried), "the reply is tried for a minute: {tried:?}");
    assert_eq!(shop.logged(), [json!("orphan")]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_given_back_by_a_layer_stays_what_it_is() {
    let bus = Bus::new(FakeBroker::new().transport());
    let shop = Arc::new(Shop::default());
    let deny = tower::util::MapResultLayer::new(|_: Result<_, std::convert::Infallible>| {
        Err(Failure::new("shop.errors", "Closed", "the shop is closed"))
    });
    let server = builder(&bus, &shop).layer(deny).start(soon()).await.unwrap();
    let error = client(&bus).call::<Value>(&Context::new(), "echo", &json!({"arg": 1})).await.unwrap_err();
    assert_eq!(error.remote().unwrap().class(), "Closed");
    server.wait(soon()).await.unwrap();
}

#[derive(Debug)]
struct Explosive;

impl Serializer for Explosive {
    fn serialize(&self, _: &Context, _: Payload) -> oslo_messaging::Result<Payload> {
        panic!("the result blew up")
    }

    fn deserialize(&self, _: &Context, value: Payload) -> oslo_messaging::Result<Payload> {
        assert_ne!(value.as_str(), "\"bomb\"", "the argument blew up");
        Ok(value)
    }

    fn serialize_context(&self, context: &Context) -> oslo_messaging::Result<Context> {
        Ok(context.clone())
    }

    fn deserialize_context(&self, context: &Context) -> oslo_messaging::Result<Context> {
        Ok(context.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn a_serializer_that_panics_costs_its_call_and_not_the_server() {
    let bus = Bus::new(FakeBroker::new().transport());
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).serializer(Explosive).start(soon()).await.unwrap();
    for (arg, said) in [("bomb", "the argument blew up"), ("echo", "the result blew up"), ("bomb", "the argument")] {
        let error = client(&bus).call::<Value>(&Context::new(), "echo", &json!({ "arg": arg })).await.unwrap_err();
        assert!(error.remote().unwrap().message().contains(said), "{error}");
    }
    server.wait(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_became_stale_in_the_reserve_is_skipped() {
    for at_least_once in [false, true] {
        let broker = FakeBroker::new();
        let bus = Bus::new(broker.transport());
        let shop = Arc::new(Shop::default());
        let settings = builder(&bus, &shop).concurrency(1).reserve(8);
        let settings = if at_least_once { settings.at_least_once() } else { settings };
        let server = settings.start(soon()).await.unwrap();
        client(&bus).cast(&Context::new(), "gated", &json!({"arg": "first"})).await.unwrap();
        shop.entered(1).await;
        // Both wait half a minute behind the first: the one for much longer than its caller does, the other just not.
        for (unique_id, timeout) in [("gives up", 20), ("waits", 34)] {
            let patient = client(&bus).timeout(secs(timeout));
            let args = json!({ "arg": unique_id });
            let context = Context::new();
            let answer = patient.call::<Value>(&context, "note", &args);
            assert!(tokio::time::timeout(secs(1), answer).await.is_err(), "it waits in the reserve");
        }
        tokio::time::advance(secs(30)).await;
        shop.release.add_permits(1);
        let _: Value = client(&bus).call(&Context::new(), "note", &json!({"arg": "fence"})).await.unwrap();
        assert_eq!(shop.logged(), [json!("first"), json!("waits"), json!("fence")]);
        server.wait(soon()).await.unwrap();
        bus.close(soon()).await.unwrap();
        broker.assert_idle();
    }
}

#[tokio::test(start_paused = true)]
async fn a_monitored_call_is_heard_of_while_it_waits_in_the_reserve() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).concurrency(1).reserve(8).start(soon()).await.unwrap();
    client(&bus).cast(&Context::new(), "gated", &json!({"arg": "first"})).await.unwrap();
    shop.entered(1).await;
    let patient = client(&bus).timeout(secs(600)).monitor(secs(4));
    let context = Context::new();
    let args = json!({"arg": "second"});
    let answer = patient.call::<Value>(&context, "gated", &args);
    let releasing = async {
        // Just before a heartbeat, so that the silence at the start of the method is as long as it can be.
        tokio::time::sleep(Duration::from_millis(61_900)).await;
        shop.release.add_permits(1);
        tokio::time::sleep(secs(20)).await;
        shop.release.add_permits(1);
    };
    let (answered, ()) = tokio::join!(answer, releasing);
    assert_eq!(answered.unwrap(), json!("second"));
    let published = broker.counters().published;
    tokio::time::advance(secs(60)).await;
    let _: Value = client(&bus).call(&Context::new(), "echo", &json!({"arg": 1})).await.unwrap();
    assert_eq!(broker.counters().published - published, 2, "no heartbeat outlives the answer");
    server.wait(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_waits_for_a_broker_that_is_on_its_way_back() {
    let bus = Bus::new(common::late::Late::to(&FakeBroker::new()));
    let server = builder(&bus, &Arc::new(Shop::default())).start(soon()).await.unwrap();
    server.wait(soon()).await.unwrap();
}

/// Takes what a request says from the key that its context names.
#[derive(Debug)]
struct Keyed;

impl Keyed {
    fn tagged(context: &Context, value: &Payload) -> oslo_messaging::Result<Payload> {
        let key: String = context.get("key").unwrap_or_else(|| "no key".to_owned());
        Payload::encode(&json!(format!("{key}:{}", value.decode::<String>()?)))
    }
}

impl Serializer for Keyed {
    fn serialize(&self, context: &Context, value: Payload) -> oslo_messaging::Result<Payload> {
        Self::tagged(context, &value)
    }

    fn deserialize(&self, context: &Context, value: Payload) -> oslo_messaging::Result<Payload> {
        Self::tagged(context, &value)
    }

    fn serialize_context(&self, context: &Context) -> oslo_messaging::Result<Context> {
        Ok(context.clone())
    }

    fn deserialize_context(&self, context: &Context) -> oslo_messaging::Result<Context> {
        let name: String = context.get("key_name").unwrap_or_default();
        Ok(context.with("key", format!("key of {name}")))
    }
}

#[tokio::test(start_paused = true)]
async fn a_serializer_is_given_the_context_that_it_made_itself_for_arguments_and_result() {
    let bus = Bus::new(FakeBroker::new().transport());
    let server = builder(&bus, &Arc::new(Shop::default())).serializer(Keyed).start(soon()).await.unwrap();
    let context = Context::new().with("key_name", "alice");
    let answer: String = client(&bus).call(&context, "echo", &json!({"arg": "pear"})).await.unwrap();
    assert_eq!(answer, "key of alice:key of alice:pear");
    server.wait(soon()).await.unwrap();
}

/// A transport that does not tell what it hands over again.
#[derive(Debug)]
struct Unmarked(FakeTransport);

#[async_trait]
impl Transport for Unmarked {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities().iter().filter(|capability| *capability != Capability::RedeliveredFlag).collect()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.health()
    }

    async fn publish(&self, to: &Address, message: Message, options: &PublishOptions) -> oslo_messaging::Result<()> {
        self.0.publish(to, message, options).await
    }

    async fn subscribe(
        &self,
        subscription: &Subscription,
        deadline: Deadline,
    ) -> oslo_messaging::Result<Box<dyn Listener>> {
        self.0.subscribe(subscription, deadline).await
    }

    async fn close(&self, deadline: Deadline) -> oslo_messaging::Result<()> {
        self.0.close(deadline).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_marks_nothing_cannot_refuse_what_comes_back() {
    let broker = FakeBroker::new();
    let bus = Bus::new(Unmarked(broker.transport()));
    let refusing = builder(&bus, &Arc::new(Shop::default())).refuse_redelivered();
    assert_eq!(refusing.start(soon()).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(broker.queues().is_empty(), "no queue was declared for it");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_a_layer_or_the_serializer_does_not_claim_that_the_method_ran() {
    let bus = Bus::new(FakeBroker::new().transport());
    let shop = Arc::new(Shop::default());
    let shut = tower::timeout::TimeoutLayer::new(Duration::ZERO);
    for settings in [builder(&bus, &shop).layer(shut), builder(&bus, &shop).serializer(Refusing)] {
        let server = settings.start(soon()).await.unwrap();
        let context = Context::new();
        for arg in ["refused", "bomb"] {
            let args = json!({ "arg": arg });
            let error = client(&bus).call::<Value>(&context, "gated", &args).await.unwrap_err();
            let remote = error.remote().unwrap();
            assert_eq!((remote.module(), remote.class()), ("oslo_messaging_rust", "RequestFailed"), "{error}");
            assert_eq!(error.executed(), Executed::Maybe);
        }
        server.wait(soon()).await.unwrap();
    }
}

/// Takes no argument.
#[derive(Debug)]
struct Refusing;

impl Serializer for Refusing {
    fn serialize(&self, _: &Context, value: Payload) -> oslo_messaging::Result<Payload> {
        Ok(value)
    }

    fn deserialize(&self, _: &Context, value: Payload) -> oslo_messaging::Result<Payload> {
        assert_ne!(value.as_str(), "\"bomb\"", "the argument blew up");
        Err(Error::new(ErrorKind::Decode, "translate"))
    }

    fn serialize_context(&self, context: &Context) -> oslo_messaging::Result<Context> {
        Ok(context.clone())
    }

    fn deserialize_context(&self, context: &Context) -> oslo_messaging::Result<Context> {
        Ok(context.clone())
    }
}
