//! What a client does on the fake broker: answers, errors, deadlines, and what it leaves behind.

mod common;

use std::time::Duration;

use async_trait::async_trait;
use common::{Shop, builder, bus_and_server, bus_server_and_shop, secs, soon};
use oslo_messaging::driver::{Address, Capabilities, Listener, Message, PublishOptions, Subscription, Transport};
use oslo_messaging::{
    Bus, Context, Deadline, Endpoint, Error, ErrorKind, Executed, Failure, Health, Payload, Result, RpcClient,
    RpcServer, Target,
};
use oslo_messaging_fake::{FakeBroker, FakeTransport};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

/// A transport that publishes, and never knows whether it did.
#[derive(Debug)]
struct Doubtful(FakeTransport);

#[async_trait]
impl Transport for Doubtful {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.health()
    }

    async fn publish(&self, to: &Address, message: Message, options: &PublishOptions) -> Result<()> {
        self.0.publish(to, message, options).await?;
        Err(Error::new(ErrorKind::Disconnected, "publish").with_executed(Executed::Maybe).transient())
    }

    async fn subscribe(&self, subscription: &Subscription, deadline: Deadline) -> Result<Box<dyn Listener>> {
        self.0.subscribe(subscription, deadline).await
    }

    async fn inspect(
        &self,
        address: &Address,
        deadline: Deadline,
    ) -> Result<Option<oslo_messaging::driver::QueueCounts>> {
        self.0.inspect(address, deadline).await
    }

    async fn close(&self, deadline: Deadline) -> Result<()> {
        self.0.close(deadline).await
    }
}

fn client(bus: &Bus) -> RpcClient {
    RpcClient::new(bus, Target::topic("shop"))
}

#[tokio::test(start_paused = true)]
async fn every_json_value_comes_back_as_it_was_sent() {
    let (bus, server) = bus_and_server(&FakeBroker::new()).await;
    for value in
        [json!(null), json!(0), json!(false), json!(""), json!([]), json!({}), json!({"k": [1, "ü", null, 1.5]})]
    {
        let echoed: Value = client(&bus).call(&Context::new(), "echo", &json!({ "arg": value })).await.unwrap();
        assert_eq!(echoed, value);
    }
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn arguments_that_are_not_an_object_are_refused_before_anything_is_sent() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let error = client(&bus).call::<()>(&Context::new(), "echo", &[1, 2]).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Encode, Executed::No));
    assert!(broker.queues().is_empty(), "not even an inbox was opened");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_cannot_be_called_is_refused() {
    let bus = Bus::new(FakeBroker::new().transport());
    let context = Context::new();
    let nowhere = RpcClient::new(&bus, Target::default());
    assert_eq!(nowhere.call::<()>(&context, "echo", &()).await.unwrap_err().kind(), ErrorKind::InvalidTarget);
    assert_eq!(nowhere.cast(&context, "echo", &()).await.unwrap_err().kind(), ErrorKind::InvalidTarget);
    let everybody = client(&bus).fanout();
    assert_eq!(everybody.call::<()>(&context, "echo", &()).await.unwrap_err().kind(), ErrorKind::InvalidTarget);
    for version in ["5", "5.a", "5.5.a"] {
        let error = client(&bus).prepare().version(version).call::<()>(&context, "echo", &()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidTarget, "{version}");
    }
}

#[tokio::test(start_paused = true)]
async fn prepare_changes_a_copy_and_can_override_with_nothing() {
    let bus = Bus::new(FakeBroker::new().transport());
    let base =
        RpcClient::new(&bus, Target::topic("t").exchange("e").namespace("n").version("1.1").server("s").fanout());
    let emptied =
        base.prepare().without_exchange().without_namespace().without_version().without_server().without_fanout();
    assert_eq!(*emptied.target(), Target::topic("t"));
    let other = base.prepare().exchange("e2").topic("t2").namespace("n2").version("2.0").server("s2");
    assert_eq!(
        *other.target(),
        Target::topic("t2").exchange("e2").namespace("n2").version("2.0").server("s2").fanout()
    );
    assert_eq!(*base.target(), Target::topic("t").exchange("e").namespace("n").version("1.1").server("s").fanout());
}

#[tokio::test(start_paused = true)]
async fn the_version_cap_is_checked_before_anything_is_sent() {
    let (bus, server) = bus_and_server(&FakeBroker::new()).await;
    let capped = client(&bus).version_cap("1.3");
    for (version, allowed) in
        [(Some("1.0"), true), (Some("1.3"), true), (Some("1.4"), false), (Some("2.0"), false), (None, false)]
    {
        assert_eq!(capped.can_send_version(version).unwrap(), allowed, "{version:?}");
    }
    let over = capped.prepare().version("1.4");
    let error = over.call::<Value>(&Context::new(), "echo", &json!({"arg": 1})).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::VersionCap, Executed::No));
    assert_eq!(over.cast(&Context::new(), "echo", &()).await.unwrap_err().kind(), ErrorKind::VersionCap);
    let lifted = over.without_version_cap().version("1.0");
    assert_eq!(lifted.call::<Value>(&Context::new(), "echo", &json!({"arg": 1})).await.unwrap(), json!(1));
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_bound_queue_fails_at_once_or_if_it_is_not_mandatory_at_its_timeout() {
    let bus = Bus::new(FakeBroker::new().transport());
    let started = Instant::now();
    let error = client(&bus).call::<()>(&Context::new(), "echo", &()).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Undeliverable, Executed::No));
    assert_eq!(started.elapsed(), Duration::ZERO);

    let patient = client(&bus).mandatory(false).timeout(secs(7));
    let error = patient.call::<()>(&Context::new(), "echo", &()).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe));
    assert_eq!(started.elapsed().as_secs(), 7);
    assert!(error.to_string().contains("waiting"), "it says where the time went: {error}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_have_been_sent_is_not_sent_again_and_waits_for_its_answer() {
    let broker = FakeBroker::new();
    let (bus, server, shop) = bus_server_and_shop(&broker).await;
    let doubtful = Bus::new(Doubtful(broker.transport()));
    let answer: Value = client(&doubtful).call(&Context::new(), "note", &json!({"arg": 1})).await.unwrap();
    assert_eq!((answer, shop.logged()), (json!(1), vec![json!(1)]));
    server.shutdown(soon()).await.unwrap();

    let error = client(&doubtful).timeout(secs(7)).call::<()>(&Context::new(), "note", &json!({"arg": 2})).await;
    let error = error.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe));
    assert!(error.to_string().contains("disconnected"), "it says why it was in doubt: {error}");
    bus.close(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cast_without_a_bound_queue_fails_only_if_it_is_mandatory_and_a_fanout_never_does() {
    let bus = Bus::new(FakeBroker::new().transport());
    let context = Context::new();
    client(&bus).cast(&context, "echo", &()).await.unwrap();
    let error = client(&bus).mandatory(true).cast(&context, "echo", &()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Undeliverable);
    client(&bus).mandatory(true).fanout().cast(&context, "echo", &()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_remote_failure_arrives_with_everything_the_method_said() {
    let (bus, server) = bus_and_server(&FakeBroker::new()).await;
    let error = client(&bus).call::<()>(&Context::new(), "refuse", &json!({"item": "pear"})).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Remote, Executed::Yes));
    let remote = error.remote().unwrap();
    assert_eq!((remote.module(), remote.class()), ("shop.errors", "OutOfStock"));
    assert_eq!(remote.message(), "no pear left");
    assert_eq!(remote.kwargs().decode::<Value>().unwrap(), json!({"code": 7}));

    let error = client(&bus).call::<()>(&Context::new(), "missing", &()).await.unwrap_err();
    assert_eq!((error.remote().unwrap().class(), error.executed()), ("NoSuchMethod", Executed::Maybe));
    let error = client(&bus).version("9.0").call::<()>(&Context::new(), "echo", &()).await.unwrap_err();
    assert_eq!((error.remote().unwrap().class(), error.executed()), ("UnsupportedVersion", Executed::Maybe));
    let error = client(&bus).call::<()>(&Context::new(), "panic", &()).await.unwrap_err();
    assert!(error.remote().unwrap().message().contains("the shelf broke"), "{error}");
    let error = client(&bus).call::<Value>(&Context::new(), "echo", &json!({"wrong": 1})).await.unwrap_err();
    assert_eq!((error.remote().unwrap().class(), error.executed()), ("TypeError", Executed::Maybe));
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_context_reaches_the_method_and_a_nested_call_ends_by_its_deadline() {
    let broker = FakeBroker::new();
    let (bus, server) = bus_and_server(&broker).await;
    let context = Context::new().with("user", "alice").with("nested", json!({"a": [1, 2.5, null]}));
    let seen: Value = client(&bus).call(&context, "context", &()).await.unwrap();
    assert_eq!(seen, json!({"user": "alice", "nested": {"a": [1, 2.5, null]}}));

    let relay_bus = bus.clone();
    let relay = Endpoint::shared(std::sync::Arc::new(relay_bus)).method(
        "relay",
        async |bus: std::sync::Arc<Bus>, context: Context, (): ()| {
            let error = client(&bus).call::<()>(&context, "hang", &()).await.unwrap_err();
            Ok::<_, std::convert::Infallible>(error.kind() == ErrorKind::Timeout)
        },
    );
    let relaying =
        RpcServer::builder(&bus, Target::topic("relay").server("r")).endpoint(relay).start(soon()).await.unwrap();
    let started = Instant::now();
    let outer = RpcClient::new(&bus, Target::topic("relay")).timeout(secs(9));
    let error = outer.call::<bool>(&Context::new(), "relay", &()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(started.elapsed().as_secs(), 9);
    // The nested call had the default timeout of 60 s and ended with its caller's.
    relaying.shutdown(soon()).await.unwrap();
    assert!(started.elapsed() < secs(15), "{:?}", started.elapsed());
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_monitored_call_outlives_its_monitor_and_a_silent_server_does_not() {
    let (bus, server) = bus_and_server(&FakeBroker::new()).await;
    let monitored = client(&bus).timeout(secs(3_600)).monitor(secs(2));
    let answer: String = monitored.call(&Context::new(), "sleep", &json!({"secs": 40})).await.unwrap();
    assert_eq!(answer, "rested");

    let started = Instant::now();
    let dead = RpcClient::new(&bus, Target::topic("shop")).timeout(secs(3_600)).monitor(secs(2));
    server.shutdown(soon()).await.unwrap();
    let error = dead.mandatory(false).call::<()>(&Context::new(), "sleep", &json!({"secs": 1})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(started.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_calls_at_once_complete_and_leave_nothing() {
    let broker = FakeBroker::new();
    let (bus, server) = bus_and_server(&broker).await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..10_000_u32 {
        let client = client(&bus);
        calls.spawn(async move {
            client.call::<u32>(&Context::new(), "echo", &json!({ "arg": number })).await.unwrap() == number
        });
    }
    while let Some(same) = calls.join_next().await {
        assert!(same.unwrap());
    }
    assert_eq!(bus.calls_in_flight(), 0);
    server.shutdown(soon()).await.unwrap();
    bus.close(soon()).await.unwrap();
    broker.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn one_call_that_times_out_and_one_that_is_dropped_disturb_no_other() {
    let (bus, server) = bus_and_server(&FakeBroker::new()).await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..200_u32 {
        let client = client(&bus);
        calls.spawn(async move {
            client.call::<Value>(&Context::new(), "sleep", &json!({"secs": 1})).await.map(|_| number)
        });
    }
    let impatient = client(&bus).timeout(Duration::from_millis(10));
    let context = Context::new();
    let args = json!({"secs": 1});
    let error = impatient.call::<Value>(&context, "sleep", &args).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let shop = client(&bus);
    let dropped = shop.call::<Value>(&context, "sleep", &args);
    assert!(tokio::time::timeout(Duration::from_millis(5), dropped).await.is_err(), "it was in flight when dropped");
    let mut numbers: Vec<u32> = Vec::new();
    while let Some(done) = calls.join_next().await {
        numbers.push(done.unwrap().unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
    assert_eq!(bus.calls_in_flight(), 0);
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_dropped_with_a_thousand_calls_in_flight_leaves_no_waiter_no_task_and_no_entry() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let shop = std::sync::Arc::new(Shop::default());
    let server = builder(&bus, &shop).concurrency(1_000).start(soon()).await.unwrap();
    let tasks_before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    {
        let shop = client(&bus);
        let context = Context::new();
        let args = json!({"secs": 5});
        let calls: Vec<_> = (0..1_000).map(|_| shop.call::<Value>(&context, "sleep", &args)).collect();
        let all = futures_util::future::join_all(calls);
        assert!(tokio::time::timeout(secs(1), all).await.is_err(), "they were in flight");
    }
    assert_eq!(bus.calls_in_flight(), 0, "the guards took every waiter off the table");
    server.shutdown(soon_after(secs(600))).await.unwrap();
    bus.close(soon()).await.unwrap();
    broker.assert_idle();
    let tasks_after = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(tasks_after < tasks_before, "{tasks_after} tasks are left of {tasks_before}");
}

#[tokio::test(start_paused = true)]
async fn closing_the_bus_ends_waiting_calls() {
    let (bus, server, state) = bus_server_and_shop(&FakeBroker::new()).await;
    let shop = client(&bus);
    let context = Context::new();
    let call = shop.call::<Value>(&context, "hang", &());
    let closing = async {
        state.entered(1).await;
        bus.close(soon()).await
    };
    let (ended, closed) = tokio::join!(call, closing);
    closed.unwrap();
    let error = ended.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Closed, Executed::Maybe));
    assert_eq!(shop.call::<()>(&context, "echo", &()).await.unwrap_err().kind(), ErrorKind::Closed);
    drop(server);
}

fn soon_after(budget: Duration) -> oslo_messaging::Deadline {
    oslo_messaging::Deadline::after(budget)
}

#[tokio::test(start_paused = true)]
async fn payloads_pass_untouched_as_text() {
    let (bus, server) = bus_and_server(&FakeBroker::new()).await;
    let big = Payload::from_json(r#"{"arg": 1267650600228229401496703205376}"#).unwrap();
    let echoed = client(&bus).call_payload(&Context::new(), "raw", big).await.unwrap();
    assert_eq!(echoed.as_str(), r#"{"arg": 1267650600228229401496703205376}"#);
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_silence_of_a_server_counts_from_when_the_request_was_sent() {
    let broker = FakeBroker::new();
    let (bus, server) = bus_and_server(&broker).await;
    let monitored = client(&bus).timeout(secs(600)).monitor(secs(2));
    let context = Context::new();
    let args = json!({"secs": 1});
    broker.faults().block("memory");
    let alarm = async {
        tokio::time::sleep(secs(30)).await;
        broker.faults().unblock();
    };
    let (answer, ()) = tokio::join!(monitored.call::<String>(&context, "sleep", &args), alarm);
    assert_eq!(answer.unwrap(), "rested");
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_may_be_monitored_as_patiently_as_one_likes() {
    let (bus, server) = bus_and_server(&FakeBroker::new()).await;
    let monitored = client(&bus).timeout(Duration::MAX).monitor(Duration::MAX / 2);
    let answer: String = monitored.call(&Context::new(), "sleep", &json!({"secs": 9_000})).await.unwrap();
    assert_eq!(answer, "rested");
    server.shutdown(soon()).await.unwrap();
}

/// Passes on, with a context that has lost its deadline, what it was asked a second ago.
async fn hand_on(bus: std::sync::Arc<Bus>, context: Context, (): ()) -> Result<(), Failure> {
    let late = context.deadline().expect("its caller is one of ours");
    tokio::time::sleep_until(late.instant() + secs(1)).await;
    client(&bus).cast(&context, "note", &json!({"arg": "cast"})).await?;
    let freed = context.without_deadline();
    client(&bus).call::<Value>(&freed, "note", &json!({"arg": "called"})).await?;
    client(&bus).call::<Value>(&context, "note", &json!({"arg": "late"})).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_handler_can_go_on_after_its_caller_has_given_up() {
    let (bus, server, shop) = bus_server_and_shop(&FakeBroker::new()).await;
    let relay = Endpoint::new(bus.clone()).method("hand_on", hand_on);
    let target = Target::topic("relay").server("r");
    let relaying = RpcServer::builder(&bus, target).endpoint(relay).start(soon()).await.unwrap();
    let impatient = RpcClient::new(&bus, Target::topic("relay")).timeout(secs(5));
    let context = Context::new().with("user", "alice");
    assert_eq!(impatient.call::<()>(&context, "hand_on", &()).await.unwrap_err().kind(), ErrorKind::Timeout);
    relaying.shutdown(soon()).await.unwrap();
    server.shutdown(soon()).await.unwrap();
    assert_eq!(shop.logged(), [json!("cast"), json!("called")]);
}
