//! Faults of a whole node while a bus is at work, and queues that were declared on it before.

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use oslo_messaging::driver::Transport;
use oslo_messaging::{ErrorKind, Executed, State};
use tokio::time::{Instant, sleep_until};
use xtask::broker::Node;
use xtask::fault_duration::fault_duration;

use crate::workload::Workload;
use testkit::stage::{ARRIVE, BorrowedNode, SLACK, Stage, back, blocking, until, url, within};

/// Queues outlive the node.
const DURABLE: &str = "?amqp_durable_queues=true";
/// Longer than a node takes to come back.
const PATIENT: Duration = Duration::from_secs(90);
/// How long a node stands still: longer than it takes to miss it.
const FROZEN: Duration = Duration::from_secs(8);

/// The answer to what ran when the node died reaches its caller, and what is begun while there is none is done afterwards.
pub(crate) async fn a_node_that_is_killed_in_mid_call_costs_no_answer() {
    let (node, stage) = Stage::own().await;
    let workload = at(stage, DURABLE).await;
    let call = workload.call_waiting(7, PATIENT);
    let killing = async {
        within(ARRIVE, "the request", workload.waiting.acquire()).await.expect("it is open").forget();
        let node = changed(node, |node| node.kill().expect("it is dead")).await;
        workload.release.add_permits(1);
        missed(&workload).await;
        let (answer, confirmed, node) = tokio::join!(
            workload.call(8, PATIENT),
            workload.notify(8, PATIENT),
            changed(node, |node| node.restart().expect("it is back")),
        );
        answer.expect("the node is back in time");
        confirmed.expect("the node is back in time");
        node
    };
    let (answer, _node) = tokio::join!(call, killing);
    answer.expect("it ran, and its reply queue outlived the node");
    workload.works().await;
    workload.close().await;
}

pub(crate) async fn a_node_that_an_operator_restarts_in_mid_call_costs_no_answer() {
    let (_node, stage) = Stage::own().await;
    let workload = at(stage, DURABLE).await;
    let call = workload.call_waiting(7, PATIENT);
    let restarting = async {
        within(ARRIVE, "the request", workload.waiting.acquire()).await.expect("it is open").forget();
        workload.stage.control(|stage| stage.node.rabbitmqctl(&["stop_app"]).expect("it stops")).await;
        workload.release.add_permits(1);
        missed(&workload).await;
        let starting = workload.stage.control(|stage| stage.node.rabbitmqctl(&["start_app"]).expect("it starts"));
        let (answer, confirmed, _) = tokio::join!(workload.call(8, PATIENT), workload.notify(8, PATIENT), starting);
        answer.expect("the node is back in time");
        confirmed.expect("the node is back in time");
    };
    let (answer, ()) = tokio::join!(call, restarting);
    answer.expect("it ran, and its reply queue outlived the node");
    workload.works().await;
    workload.close().await;
}

/// Nothing waits past its deadline, and everything works once the node goes on.
pub(crate) async fn a_node_that_stands_still_delays_nothing_past_the_deadline() {
    const SHORT: Duration = Duration::from_millis(500);
    let (_node, stage) = Stage::own().await;
    let workload = at(stage, "?amqp_durable_queues=true&heartbeat_timeout_threshold=1").await;
    let frozen = workload.stage.control(|stage| stage.node.pause().expect("it is frozen")).await;
    let end = Instant::now() + fault_duration(FROZEN);
    for number in 0..6 {
        let begun = Instant::now();
        workload.call(number, SHORT).await.expect_err("the node does not answer");
        workload.notify(number, SHORT).await.expect_err("the node does not confirm");
        assert!(begun.elapsed() < 2 * (SHORT + SLACK), "{:?}", begun.elapsed());
    }
    // Each try to connect meets a host that accepts and says nothing.
    sleep_until(end).await;
    drop(frozen);
    back(&workload.transport, 1).await;
    workload.works().await;
    workload.close().await;
}

/// A node whose disk is full accepts connections and no publishes; once it has room everything works by itself.
pub(crate) async fn a_disk_that_is_full_at_the_start_is_waited_for() {
    let (_node, stage) = Stage::own().await;
    stage.control(|stage| stage.node.rabbitmqctl(&["set_disk_free_limit", "1000000GB"]).expect("an alarm")).await;
    let address = stage.url();
    let workload = within(ARRIVE, "starting", Workload::set_up(stage, "guest", "guest", "", &address)).await;
    for number in 0..2 {
        let error = workload.call(number, SLACK).await.expect_err("publishers are stopped");
        assert!(matches!(error.kind(), ErrorKind::Blocked | ErrorKind::Timeout), "{error}");
        let error = workload.notify(number, SLACK).await.expect_err("publishers are stopped");
        assert!(matches!(error.kind(), ErrorKind::Blocked | ErrorKind::Timeout), "{error}");
    }
    let mut health = workload.transport.health();
    let blocked =
        health.wait_for(|health| matches!(&health.state, State::Blocked { reason } if reason.contains("disk")));
    within(ARRIVE, "the alarm", blocked).await.expect("a state");
    let error = workload.call(2, SLACK).await.expect_err("publishers are stopped");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Blocked, Executed::No), "{error}");
    let relieving =
        workload.stage.control(|stage| stage.node.rabbitmqctl(&["set_disk_free_limit", "1MB"]).expect("room"));
    let (answer, _) = tokio::join!(workload.call(3, PATIENT), relieving);
    answer.expect("there is room in time");
    workload.works().await;
    assert_eq!(workload.transport.counters().losses, 0);
    workload.close().await;
}

/// Queues that were declared in another form before are used as they are, and reported.
pub(crate) async fn queues_that_were_declared_in_another_form_before_are_used() {
    let stage = Stage::shared().await;
    let bare = stage.bare().await;
    let channel = within(ARRIVE, "a channel", bare.create_channel()).await.expect("a channel");
    for queue in ["workload", "workload.one", "events.info"] {
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(10_000));
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let declaring = channel.queue_declare(queue.into(), options, arguments);
        within(ARRIVE, "declaring", declaring).await.expect("it is new");
    }
    let address = stage.url();
    let workload = Workload::with(stage, "guest", "guest", "", &address).await;
    let drift = workload.serving.health().borrow().drift.clone();
    assert!(drift.iter().any(|text| text.contains("'workload'")), "{drift:?}");
    workload.stage.close_connections("once more").await;
    back(&workload.transport, 1).await;
    workload.works().await;
    workload.close().await;
}

/// Waits until the client has missed its connection: what is sent before that is lost with it.
async fn missed(workload: &Workload) {
    until("the loss", async || workload.transport.counters().losses > 0).await;
}

/// A workload whose parts all have the options of `query`.
async fn at(stage: Stage, query: &str) -> Workload {
    let address = url(&format!("{}{query}", stage.node.url_as("guest", "guest", &stage.vhost)));
    Workload::with(stage, "guest", "guest", query, &address).await
}

async fn changed(mut node: BorrowedNode, change: impl FnOnce(&mut Node) + Send + 'static) -> BorrowedNode {
    blocking(move || {
        change(&mut node);
        node
    })
    .await
}
