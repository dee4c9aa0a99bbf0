//! Faults of a broker: publishers and consumers recover by themselves, and nothing confirmed is lost.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use oslo_messaging::driver::{Message, PublishOptions, Settle, Transport};
use oslo_messaging::{Bus, Context, Deadline, Endpoint, ErrorKind, Executed, RpcClient, RpcServer, State, Target};
use oslo_messaging_amqp::AmqpConfig;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::traffic::{Traffic, a_hundred};
use testkit::stage::{
    ARRIVE, BorrowedNode, SLACK, Stage, back, blocking, publish, refusal, server, soon, subscribe, take,
    take_until_after, texts, topic, unique, until, url, within,
};

/// What a broker that is killed keeps.
fn durable() -> AmqpConfig {
    AmqpConfig::default().with_durable_queues(true)
}

pub(crate) async fn a_node_that_is_killed_and_comes_back_is_found_again() {
    for settle in [Settle::BeforeHandover, Settle::ByReceiver] {
        let (node, stage) = Stage::own().await;
        let mut traffic = Traffic::start(&stage, durable(), settle).await;
        let node = killed(node).await;
        traffic.lost().await;
        let patient = traffic.patient_publish();
        let _node = restarted(node).await;
        within(ARRIVE, "the patient publish", patient).await.expect("no panic").expect("the broker is back");
        traffic.survived().await;
    }
}

pub(crate) async fn a_node_that_an_operator_restarts_is_found_again() {
    let (_node, stage) = Stage::own().await;
    let mut traffic = Traffic::start(&stage, durable(), Settle::BeforeHandover).await;
    stage.control(|stage| stage.node.rabbitmqctl(&["stop_app"]).expect("it stops")).await;
    traffic.lost().await;
    let patient = traffic.patient_publish();
    stage.control(|stage| stage.node.rabbitmqctl(&["start_app"]).expect("it starts")).await;
    within(ARRIVE, "the patient publish", patient).await.expect("no panic").expect("the broker is back");
    traffic.survived().await;
}

/// A server and a caller, each on connections of their own, with calls under way all the time.
pub(crate) async fn calls_go_on_after_a_node_was_killed() {
    let (node, stage) = Stage::own().await;
    let (serving, calling) =
        (Arc::new(stage.connect_with(durable()).await), Arc::new(stage.connect_with(durable()).await));
    let endpoint = Endpoint::new(())
        .method("echo", async |_: Arc<()>, _: Context, arguments: BTreeMap<String, u32>| {
            Ok::<_, Infallible>(arguments["number"])
        });
    let target = Target::topic("calls");
    let server = RpcServer::builder(&Bus::new(Arc::clone(&serving)), target.clone().server("one")).endpoint(endpoint);
    let server = server.start(soon()).await.expect("the queues are new");
    let bus = Bus::new(Arc::clone(&calling));
    let client = RpcClient::new(&bus, target);
    let call = async |number: u32, timeout: Duration| {
        let arguments = BTreeMap::from([("number".to_owned(), number)]);
        let called = client.prepare().timeout(timeout).call::<u32>(&Context::new(), "echo", &arguments).await;
        called.inspect(|answer| assert_eq!(*answer, number))
    };
    for number in 0..10 {
        call(number, ARRIVE).await.expect("an answer");
    }
    let faulting = async {
        let node = killed(node).await;
        restarted(node).await
    };
    let calls = async {
        // Executed or not, nothing waits past its deadline; and a call in the middle of it is answered.
        for number in 0..1_000 {
            let started = Instant::now();
            let _ = call(number, SLACK).await;
            assert!(started.elapsed() < 2 * SLACK, "{:?}", started.elapsed());
            if calling.counters().losses > 0 {
                break;
            }
        }
        call(1_000, 4 * ARRIVE).await
    };
    let (_node, answer) = tokio::join!(faulting, calls);
    answer.expect("the broker is back in time");
    for transport in [&serving, &calling] {
        back(transport, 1).await;
    }
    for number in 0..100 {
        call(number, ARRIVE).await.expect("an answer");
    }
    server.shutdown(soon()).await.expect("the broker answers");
    bus.close(soon()).await.expect("the broker answers");
}

/// Objects that go with the node are made again too.
pub(crate) async fn what_went_with_the_node_is_made_again() {
    let (node, stage) = Stage::own().await;
    let transport = stage.connect().await;
    let mut listener = subscribe(&transport, &server("gone")).await;
    publish(&transport, &topic("gone"), "before").await.expect("a publish");
    for message in take(listener.as_mut(), 1).await {
        message.acknowledge().await.expect("an acknowledgement");
    }
    let queues = stage.queue_names().await;
    let _node = restarted(killed(node).await).await;
    back(&transport, 1).await;
    assert_eq!(stage.queue_names().await, queues);
    a_hundred(&transport, &topic("gone"), listener.as_mut()).await;
}

pub(crate) async fn connections_that_an_operator_closes_are_made_again() {
    for settle in [Settle::BeforeHandover, Settle::ByReceiver] {
        let stage = Stage::shared().await;
        let traffic = Traffic::start(&stage, AmqpConfig::default(), settle).await;
        stage.close_connections("maintenance at noon").await;
        traffic.survived().await;
    }
}

/// Longer than two heartbeats, so that it is noticed, and noticed before the node goes on.
pub(crate) async fn a_node_that_freezes_for_a_while_is_found_again() {
    let (_node, stage) = Stage::own().await;
    let query = "?heartbeat_timeout_threshold=2";
    let config = durable().with_query(&url(&format!("rabbit://h/{query}"))).expect("an option");
    let mut traffic = Traffic::start(&stage, config, Settle::BeforeHandover).await;
    let frozen = stage.control(|stage| stage.node.pause().expect("it is frozen")).await;
    let started = Instant::now();
    let reason = traffic.lost().await;
    assert!(started.elapsed() < 2 * Duration::from_secs(2) + 10 * SLACK, "{:?}: {reason}", started.elapsed());
    let patient = traffic.patient_publish();
    // Each try to connect meets a host that accepts and says nothing.
    sleep(Duration::from_secs(3)).await;
    drop(frozen);
    within(ARRIVE, "the patient publish", patient).await.expect("no panic").expect("the broker is back");
    traffic.survived().await;
}

/// The socket is full, and lapin's thread wants to write; every publish ends in time, and nothing that was confirmed is
/// lost.
pub(crate) async fn a_node_that_freezes_with_much_on_the_way_is_found_again() {
    let (_node, stage) = Stage::own().await;
    let config = durable().with_query(&url("rabbit://h/?heartbeat_timeout_threshold=2")).expect("an option");
    let transport = stage.connect_with(config).await;
    let mut listener = subscribe(&transport, &server("much").with_settle(Settle::BeforeHandover)).await;
    publish(&transport, &topic("much"), "before").await.expect("a publish");
    take(listener.as_mut(), 1).await;
    let frozen = stage.control(|stage| stage.node.pause().expect("it is frozen")).await;
    let (to, options) = (topic("much"), PublishOptions::by(Deadline::after(2 * ARRIVE)));
    let bodies: Vec<String> = (0..64).map(|number| format!("{number:02}{}", "b".repeat(1024 * 1024))).collect();
    let publishing = join_all(bodies.iter().map(|body| transport.publish(&to, Message::new(body.clone()), &options)));
    let thawing = async {
        until("the loss", async || transport.counters().losses == 1).await;
        drop(frozen);
    };
    let (outcome, ()) = within(2 * ARRIVE, "publishing", async { tokio::join!(publishing, thawing) }).await;
    back(&transport, 1).await;
    let mut confirmed: Vec<&str> = Vec::new();
    for (body, outcome) in bodies.iter().zip(outcome) {
        match outcome {
            Ok(()) => confirmed.push(&body[..2]),
            Err(error) => {
                assert_eq!((error.kind(), error.executed()), (ErrorKind::Disconnected, Executed::Maybe), "{error}");
            }
        }
    }
    assert!(!confirmed.is_empty(), "what certainly did not leave is sent again");
    publish(&transport, &to, "after").await.expect("a publish");
    let mut arrived = take_until_after(listener.as_mut()).await;
    for body in &mut arrived {
        body.truncate(if body.len() > 100 { 2 } else { 100 });
    }
    assert!(confirmed.iter().all(|body| arrived.iter().any(|arrived| arrived == body)), "{confirmed:?}: {arrived:?}");
    a_hundred(&transport, &to, listener.as_mut()).await;
}

pub(crate) async fn an_alarm_stops_publishers_alone_and_costs_no_connection() {
    let (_node, stage) = Stage::own().await;
    let traffic = Traffic::start(&stage, durable(), Settle::ByReceiver).await;
    let alarm = stage.control(|stage| stage.node.memory_alarm().expect("an alarm")).await;
    let mut health = traffic.transport.health();
    let blocked = health.wait_for(|health| matches!(health.state, State::Blocked { .. }));
    within(ARRIVE, "the alarm", blocked).await.expect("a state");
    let options = PublishOptions::by(Deadline::after(SLACK));
    let outcome = traffic.transport.publish(&topic("traffic"), Message::new("never"), &options).await;
    let error = refusal(outcome);
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Blocked, Executed::No), "{error}");
    stage.control(move |_| drop(alarm)).await;
    within(ARRIVE, "the end", health.wait_for(|health| health.state == State::Ready)).await.expect("a state");
    assert_eq!(traffic.transport.counters().losses, 0);
    // And a loss afterwards is a loss like any other.
    stage.close_connections("and now this").await;
    traffic.survived().await;
}

/// Nothing listens on the next host.
pub(crate) async fn a_host_that_is_not_there_is_passed_over() {
    let stage = Stage::shared().await;
    let bad = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address").port();
    let good = stage.node.port();
    let both = format!("rabbit://guest:guest@127.0.0.1:{bad},guest:guest@127.0.0.1:{good}/{}", stage.vhost);
    let transport = oslo_messaging_amqp::AmqpTransport::connect(&url(&both), AmqpConfig::default(), soon()).await;
    let transport = transport.expect("one of them is there");
    let mut listener = subscribe(&transport, &server("hosts")).await;
    for times in 1..=3 {
        stage.close_connections("again").await;
        back(&transport, times).await;
        a_hundred(&transport, &topic("hosts"), listener.as_mut()).await;
    }
}

/// What was wrong at first is an error; what goes wrong later is an alarm until it is mended.
pub(crate) async fn a_password_that_is_changed_is_an_alarm_until_it_is_changed_back() {
    let (stage, user) = (Stage::shared().await, unique("u"));
    let name = user.clone();
    let allow = move |stage: &Stage| {
        stage.node.add_user(&name, "before").expect("a user");
        stage.node.set_permissions(&name, &stage.vhost, ".*", ".*", ".*").expect("permissions");
    };
    stage.control(allow).await;
    let address = url(&stage.node.url_as(&user, "before", &stage.vhost));
    let connecting = oslo_messaging_amqp::AmqpTransport::connect(&address, AmqpConfig::default(), soon());
    let transport = connecting.await.expect("a connection");
    let mut listener = subscribe(&transport, &server("alarm")).await;
    let change = async |password: &'static str| {
        let user = user.clone();
        let change = move |stage: &Stage| stage.node.rabbitmqctl(&["change_password", &user, password]).expect("done");
        stage.control(change).await;
    };
    change("after").await;
    stage.close_connections("who are you?").await;
    let mut health = transport.health();
    let denied =
        health.wait_for(|health| matches!(&health.state, State::Lost { reason } if reason.contains("access denied")));
    let outcome = format!("{:?}", *within(ARRIVE, "the alarm", denied).await.expect("a state"));
    assert!(outcome.contains(&user) && !outcome.contains("before"), "{outcome}");
    change("before").await;
    back(&transport, 1).await;
    a_hundred(&transport, &topic("alarm"), listener.as_mut()).await;
}

/// Whichever of the two connections goes, the other goes with it, and both are made again.
pub(crate) async fn one_connection_takes_the_other_with_it_and_both_come_back() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let mut listener = subscribe(&transport, &server("one")).await;
    for index in 0..2 {
        let before = connections(&stage).await;
        assert_eq!(before.len(), 2, "{before:?}");
        let pid = before[index].clone();
        let close =
            move |stage: &Stage| stage.node.rabbitmqctl(&["close_connection", &pid, "one of two"]).expect("done");
        stage.control(close).await;
        back(&transport, index as u64 + 1).await;
        a_hundred(&transport, &topic("one"), listener.as_mut()).await;
        let are_gone = async || connections(&stage).await.iter().all(|pid| !before.contains(pid));
        until("the old connections to be gone", are_gone).await;
    }
}

async fn connections(stage: &Stage) -> Vec<String> {
    let arguments = ["--no-table-headers", "list_connections", "pid", "vhost"];
    let list = stage.control(move |stage| stage.node.rabbitmqctl(&arguments).expect("a list")).await;
    let ours = list.lines().filter(|line| line.ends_with(&stage.vhost));
    let mut pids: Vec<_> = ours.filter_map(|line| line.split('\t').next().map(str::to_owned)).collect();
    pids.sort();
    pids
}

/// A publish that nothing comes of ends by its deadline and says why; one that has more time arrives.
pub(crate) async fn a_publish_waits_for_the_broker_until_its_deadline() {
    let (node, stage) = Stage::own().await;
    let transport = stage.connect_with(durable()).await;
    let mut listener = subscribe(&transport, &server("wait")).await;
    let node = killed(node).await;
    for to in [topic("wait"), topic("undeclared"), listener.address().clone()] {
        let (started, options) = (Instant::now(), PublishOptions::by(Deadline::after(SLACK)));
        let error = refusal(transport.publish(&to, Message::new("impatient"), &options).await);
        let outcome = (error.kind(), error.executed(), error.is_transient());
        assert_eq!(outcome, (ErrorKind::Disconnected, Executed::No, true), "{error}");
        assert!(started.elapsed() < 2 * SLACK, "{:?}", started.elapsed());
    }
    let options = PublishOptions::by(Deadline::after(4 * ARRIVE));
    let to = topic("wait");
    let patient = transport.publish(&to, Message::new("patient"), &options);
    let (published, _node) = tokio::join!(patient, restarted(node));
    published.expect("the broker is back in time");
    assert_eq!(texts(&take(listener.as_mut(), 1).await), ["patient"], "and what was given up did not arrive");
}

async fn killed(mut node: BorrowedNode) -> BorrowedNode {
    blocking(move || {
        node.kill().expect("it is dead");
        node
    })
    .await
}

async fn restarted(mut node: BorrowedNode) -> BorrowedNode {
    blocking(move || {
        node.restart().expect("it is back");
        node
    })
    .await
}
