//! What everybody is told when the broker goes, freezes or raises an alarm: something, and in time.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{
    Deadline, Error, ErrorKind, Executed, Message, PublishOptions, Source, State, Subscription, Transport,
};
use oslo_messaging_amqp::AmqpTransport;
use tokio::time::Instant;
use xtask::broker::AttachedNode;

use crate::stage::{
    ARRIVE, SLACK, Stage, all, publish, refusal, server, soon, subscribe, take, texts, topic, until, within,
};

const SHORT: Duration = Duration::from_secs(1);

pub(crate) async fn an_operator_who_closes_the_connections_ends_everything() {
    let (_node, stage) = Stage::own().await;
    ends_everything(
        &stage,
        |node| node.close_all_connections("maintenance at noon").expect("it is done"),
        "maintenance",
    )
    .await;
}

pub(crate) async fn a_node_that_is_killed_ends_everything() {
    let (_node, stage) = Stage::own().await;
    ends_everything(&stage, |node| node.kill().expect("it is dead"), "").await;
}

/// Whichever of the two connections goes, the other goes with it.
pub(crate) async fn one_connection_takes_the_other_with_it() {
    for index in 0..2 {
        let stage = Stage::shared().await;
        let vhost = stage.vhost.clone();
        let hurt = move |node: &AttachedNode| {
            let list = node.rabbitmqctl(&["--no-table-headers", "list_connections", "pid", "vhost"]).expect("a list");
            let mut ours =
                list.lines().filter(|line| line.ends_with(&vhost)).filter_map(|line| line.split('\t').next());
            let pid = ours.nth(index).expect("two connections").to_owned();
            node.rabbitmqctl(&["close_connection", &pid, "one of two"]).expect("it is closed");
        };
        ends_everything(&stage, hurt, "").await;
    }
}

async fn ends_everything(stage: &Stage, hurt: impl FnOnce(&AttachedNode) + Send + 'static, said: &str) {
    let transport = stage.connect().await;
    let mut listener = subscribe(&transport, &server("lost")).await;
    publish(&transport, &topic("lost"), "held").await.expect("a publish");
    let held = take(listener.as_mut(), 1).await.remove(0);
    let mut health = transport.health();
    let (hurting, polling) = (stage.control(|stage| hurt(&stage.node)), listener.poll(all()));
    let ((), polled) = within(ARRIVE, "polling", async { tokio::join!(hurting, polling) }).await;
    assert_eq!(refusal(polled).kind(), ErrorKind::Disconnected);
    let lost = within(ARRIVE, "the loss", health.wait_for(|health| matches!(health.state, State::Lost { .. }))).await;
    assert!(format!("{:?}", lost.expect("a state").state).contains(said));

    let at_once = |what: &'static str, started: Instant, error: Error| {
        assert_eq!(
            (error.kind(), error.executed(), error.is_transient()),
            (ErrorKind::Disconnected, Executed::No, true),
            "{error}"
        );
        assert!(started.elapsed() < SLACK, "{what} took {:?}", started.elapsed());
    };
    let started = Instant::now();
    at_once("publish", started, refusal(publish(&transport, &topic("lost"), "late").await));
    at_once("subscribe", started, refusal(transport.subscribe(&server("lost"), soon()).await));
    assert_eq!(refusal(held.acknowledge().await).kind(), ErrorKind::Disconnected);
    within(SLACK, "closing the listener", listener.close(soon())).await.expect_err("its queue could not be deleted");
    within(SLACK, "closing", transport.close(soon())).await.expect("there is nothing left to close");
    assert_eq!(refusal(publish(&transport, &topic("lost"), "").await).kind(), ErrorKind::Closed);
}

pub(crate) async fn what_was_out_when_the_node_was_killed_may_have_arrived() {
    let (_node, stage) = Stage::own().await;
    let transport = stage.connect().await;
    publish(&transport, &topic("out"), "first").await.expect("a publish");
    let frozen = stage.control(|stage| stage.node.pause().expect("it is frozen")).await;
    let before = transport.counters().publishes;
    let to = topic("out");
    let publishing = publish(&transport, &to, "out");
    let killing = async {
        until("the publish to be out", async || transport.counters().publishes > before).await;
        stage.control(|stage| stage.node.kill().expect("it is dead")).await;
    };
    let (told, ()) = within(ARRIVE, "publishing", async { tokio::join!(publishing, killing) }).await;
    let error = refusal(told);
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Disconnected, Executed::Maybe), "{error}");
    drop(frozen);
}

pub(crate) async fn a_frozen_node_keeps_nobody_past_the_deadline() {
    let (_node, stage) = Stage::own().await;
    let transport = stage.connect().await;
    let mut listener = subscribe(&transport, &server("frozen")).await;
    publish(&transport, &topic("frozen"), "before").await.expect("a publish");
    let frozen = stage.control(|stage| stage.node.pause().expect("it is frozen")).await;
    let deadline = || Deadline::after(SHORT);
    let sent = timed(transport.publish(&topic("frozen"), Message::new("m"), &PublishOptions::by(deadline()))).await;
    assert_eq!((sent.kind(), sent.executed()), (ErrorKind::Timeout, Executed::Maybe), "{sent}");
    let unsent = timed(transport.publish(&topic("new"), Message::new("m"), &PublishOptions::by(deadline()))).await;
    assert_eq!((unsent.kind(), unsent.executed()), (ErrorKind::Timeout, Executed::No), "{unsent}");
    assert_eq!(timed(transport.subscribe(&server("new"), deadline())).await.kind(), ErrorKind::Timeout);
    assert_eq!(timed(listener.stop(deadline())).await.kind(), ErrorKind::Timeout);
    assert_eq!(timed(listener.close(deadline())).await.kind(), ErrorKind::Timeout);
    assert_eq!(timed(transport.close(deadline())).await.kind(), ErrorKind::Timeout);
    drop(frozen);
}

pub(crate) async fn an_alarm_keeps_publishers_waiting_and_lets_consumers_go_on() {
    let (_node, stage) = Stage::own().await;
    let transport = Arc::new(stage.connect().await);
    let mut listener = subscribe(&transport, &server("alarm")).await;
    publish(&transport, &topic("alarm"), "before").await.expect("a publish");
    let alarm = stage.control(|stage| stage.node.memory_alarm().expect("an alarm")).await;
    blocked(&transport).await;

    // Of these nothing was sent, whether what they need is declared or not.
    for to in [topic("alarm"), topic("undeclared")] {
        let options = PublishOptions::by(Deadline::after(SHORT));
        let error = timed(transport.publish(&to, Message::new("never"), &options)).await;
        assert_eq!(
            (error.kind(), error.executed(), error.is_transient()),
            (ErrorKind::Blocked, Executed::No, true),
            "{error}"
        );
        assert!(error.to_string().contains("memory"), "{error}");
    }
    for message in take(listener.as_mut(), 1).await {
        message.acknowledge().await.expect("an acknowledgement");
    }
    let inbox = subscribe(&transport, &Subscription::new(Source::Inbox)).await;
    inbox.close(soon()).await.expect("consumers are not blocked");

    let waiting = Arc::clone(&transport);
    let to = topic("alarm");
    let publishing = tokio::spawn(async move { publish(&waiting, &to, "patient").await });
    stage.control(move |_| drop(alarm)).await;
    within(ARRIVE, "the patient publish", publishing).await.expect("no panic").expect("the alarm is over");
    publish(&transport, &topic("alarm"), "after").await.expect("the alarm is over");
    let mut arrived = Vec::new();
    while arrived.last().is_none_or(|last| last != "after") {
        arrived.extend(texts(&take(listener.as_mut(), 1).await));
    }
    arrived.retain(|text| text != "probe");
    assert_eq!(arrived, ["patient", "after"]);
}

/// A broker tells a connection of its alarm when it publishes, and that publish is out.
async fn blocked(transport: &AmqpTransport) {
    let options = PublishOptions::by(Deadline::after(SHORT));
    let error = timed(transport.publish(&topic("alarm"), Message::new("probe"), &options)).await;
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Blocked, Executed::Maybe), "{error}");
    assert!(matches!(transport.health().borrow().state, State::Blocked { .. }));
}

/// The error of an operation that must fail by the deadline it was given.
async fn timed<T: std::fmt::Debug>(operation: impl Future<Output = oslo_messaging::Result<T>>) -> Error {
    let started = Instant::now();
    let error = refusal(within(ARRIVE, "the operation", operation).await);
    assert!(started.elapsed() < SHORT + SLACK, "{:?}: {error}", started.elapsed());
    error
}
