//! What operations return when the broker goes, freezes or raises an alarm: an error, and in time.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::driver::{Message, PublishOptions, Source, Subscription, Transport};
use oslo_messaging::{Deadline, Error, ErrorKind, Executed, State};
use oslo_messaging_amqp::AmqpTransport;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use testkit::stage::{
    ARRIVE, SLACK, Stage, all, publish, refusal, server, soon, subscribe, take, take_until_after, topic, until, within,
};

const SHORT: Duration = Duration::from_secs(1);

/// Nothing waits for a broker that is not there.
pub(crate) async fn a_close_ends_everything_while_the_node_is_gone() {
    let (_node, stage) = Stage::own().await;
    let transport = Arc::new(stage.connect().await);
    let mut listener = subscribe(&transport, &server("lost")).await;
    publish(&transport, &topic("lost"), "held").await.expect("a publish");
    let held = take(listener.as_mut(), 1).await.remove(0);
    let mut health = transport.health();
    stage.control(|stage| stage.node.kill().expect("it is dead")).await;
    within(ARRIVE, "the loss", health.wait_for(|health| matches!(health.state, State::Lost { .. }))).await.expect("it");
    assert_eq!(refusal(held.acknowledge().await).kind(), ErrorKind::Disconnected);
    let error = timed(transport.subscribe(&server("new"), Deadline::after(SHORT))).await;
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Disconnected, true), "{error}");
    let inbox = subscribe_later(&transport);
    let waiting = Arc::clone(&transport);
    let publishing = tokio::spawn(async move { publish(&waiting, &topic("lost"), "waiting").await });
    let closing = async {
        tokio::task::yield_now().await;
        within(2 * SLACK, "closing", transport.close(soon())).await.expect("there is no peer to wait for");
    };
    let (polled, ()) = within(ARRIVE, "polling", async { tokio::join!(listener.poll(all()), closing) }).await;
    assert_eq!(refusal(polled).kind(), ErrorKind::Closed);
    for outcome in [publishing, inbox] {
        let error = refusal(within(SLACK, "the result", outcome).await.expect("no panic"));
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Closed, Executed::No), "{error}");
    }
    assert_eq!(health.borrow().state, State::Closed);
    assert_eq!(refusal(publish(&transport, &topic("lost"), "").await).kind(), ErrorKind::Closed);
    within(SLACK, "closing the listener", listener.close(soon())).await.expect_err("its queue could not be deleted");
}

/// A subscription that waits for a connection.
fn subscribe_later(transport: &Arc<AmqpTransport>) -> JoinHandle<oslo_messaging::Result<()>> {
    let transport = Arc::clone(transport);
    tokio::spawn(async move { transport.subscribe(&Subscription::new(Source::Inbox), soon()).await.map(drop) })
}

/// One cancellation that is not answered must not leave the other consumers subscribed.
pub(crate) async fn a_frozen_stop_ends_every_consumer_once_the_node_goes_on() {
    let (_node, stage) = Stage::own().await;
    let transport = stage.connect().await;
    let mut listener = subscribe(&transport, &server("frozen")).await;
    let frozen = stage.control(|stage| stage.node.pause().expect("it is frozen")).await;
    assert_eq!(timed(listener.stop(Deadline::after(SHORT))).await.kind(), ErrorKind::Timeout);
    assert_eq!(timed(listener.stop(Deadline::after(SHORT))).await.kind(), ErrorKind::Timeout, "it stays so");
    drop(frozen);
    until("the consumers to be gone", async || {
        let queues = stage.control(|stage| stage.node.queues(&stage.vhost).expect("the queues")).await;
        queues.len() == 3 && queues.iter().all(|queue| queue["consumers"] == 0)
    })
    .await;
    assert!(listener.poll(all()).await.expect("the end").is_none());
    publish(&transport, &topic("frozen"), "after").await.expect("the rest works");
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
    let (outcome, ()) = within(ARRIVE, "publishing", async { tokio::join!(publishing, killing) }).await;
    let error = refusal(outcome);
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Disconnected, Executed::Maybe), "{error}");
    drop(frozen);
}

pub(crate) async fn a_frozen_node_delays_nothing_past_the_deadline() {
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
    let mut arrived = take_until_after(listener.as_mut()).await;
    arrived.retain(|text| text != "probe");
    assert_eq!(arrived, ["patient", "after"]);
}

/// A broker notifies a connection of its alarm when it publishes, and that publish is sent.
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
