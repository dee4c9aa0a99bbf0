//! What an operator, or a broker by itself, does to queues, consumers and rights while a call is under way.

use std::time::Duration;

use lapin::options::QueueDeleteOptions;
use oslo_messaging::{ErrorKind, Executed, State};
use tokio::time::{Instant, sleep_until};
use xtask::fault_duration::lasting;

use crate::workload::Office;
use testkit::stage::{ARRIVE, Stage, back, soon, unique, until, url, within};

/// Long enough for the reply to be sent again once its queue is back.
const PATIENT: Duration = Duration::from_secs(60);
/// How long an alarm lasts.
const ALARMED: Duration = Duration::from_secs(1);

/// The answer finds no queue, and is sent again until there is one.
pub(crate) async fn a_reply_queue_that_is_deleted_in_mid_call_costs_no_answer() {
    let office = Office::open("").await;
    let call = office.call_waiting(7, PATIENT);
    let deleting = async {
        within(ARRIVE, "the request", office.waiting.acquire()).await.expect("it is open").forget();
        let revivals = office.transport.counters().revivals;
        delete(&office.stage, |name| name.starts_with("reply_")).await;
        office.release.add_permits(1);
        until("the reply queue to be back", async || office.transport.counters().revivals > revivals).await;
    };
    let (answer, ()) = tokio::join!(call, deleting);
    answer.expect("it ran, and somebody waits for its answer");
    office.works().await;
    office.close().await;
}

/// The broker cancels every consumer of a server; the requests that come meanwhile wait for no queue to come back.
pub(crate) async fn queues_that_are_deleted_under_a_server_and_a_listener_are_made_again() {
    let office = Office::open("").await;
    delete(&office.stage, |name| !name.starts_with("reply_")).await;
    // Their calls are undeliverable until the queue is there, or told so.
    answers(&office).await;
    office.works().await;
    office.close().await;
}

/// A caller whose connection an operator closes while a method runs has its answer all the same.
pub(crate) async fn connections_that_are_closed_in_mid_call_cost_no_answer() {
    let office = Office::open("").await;
    let call = office.call_waiting(7, PATIENT);
    let closing = async {
        within(ARRIVE, "the request", office.waiting.acquire()).await.expect("it is open").forget();
        office.stage.close_connections("maintenance in mid-call").await;
        back(&office.transport, 1).await;
        office.release.add_permits(1);
    };
    let (answer, ()) = tokio::join!(call, closing);
    answer.expect("it ran, and somebody waits for its answer");
    office.works().await;
    office.close().await;
}

/// An alarm in the middle of a call holds the answer back, and loses nothing.
pub(crate) async fn an_alarm_in_mid_call_delays_the_answer() {
    let (_node, stage) = Stage::own().await;
    let address = stage.url();
    let office = Office::with(stage, "guest", "guest", "", &address).await;
    let call = office.call_waiting(7, PATIENT);
    let alarming = async {
        within(ARRIVE, "the request", office.waiting.acquire()).await.expect("it is open").forget();
        let alarm = office.stage.control(|stage| stage.node.memory_alarm().expect("an alarm")).await;
        let end = Instant::now() + lasting(ALARMED);
        office.release.add_permits(1);
        let error = office.call(8, Duration::from_secs(1)).await.expect_err("publishers are stopped");
        assert!(matches!(error.kind(), ErrorKind::Blocked | ErrorKind::Timeout), "{error}");
        sleep_until(end).await;
        office.stage.control(move |_| drop(alarm)).await;
    };
    let (answer, ()) = tokio::join!(call, alarming);
    answer.expect("it ran, and somebody waits for its answer");
    office.works().await;
    assert_eq!(office.transport.counters().losses, 0);
    office.close().await;
}

/// Rights that are taken away are told to whoever needs them, and everything goes on once they are given back.
pub(crate) async fn rights_that_are_taken_away_are_told_and_everything_goes_on_with_them() {
    let (stage, user) = (Stage::shared().await, unique("u"));
    let name = user.clone();
    let allow = move |stage: &Stage| {
        stage.node.add_user(&name, "secret").expect("a user");
        stage.node.set_permissions(&name, &stage.vhost, ".*", ".*", ".*").expect("permissions");
    };
    stage.control(allow).await;
    let address = url(&stage.node.url_as(&user, "secret", &stage.vhost));
    let office = Office::with(stage, &user, "secret", "", &address).await;

    permit(&office.stage, &user, "^$").await;
    // A broker asks for rights once for each channel.
    office.stage.close_connections("see what you may do now").await;
    let mut health = office.serving.health();
    let denied =
        health.wait_for(|health| matches!(&health.state, State::Lost { reason } if reason.contains("access denied")));
    let told = format!("{:?}", *within(ARRIVE, "the alarm", denied).await.expect("a state"));
    assert!(told.contains("ACCESS_REFUSED") && !told.contains("secret"), "{told}");
    back(&office.transport, 1).await;
    // The inbox may not have been told yet that it has ended, and then ends with what waits for it.
    let error = office.call(1, ARRIVE).await.expect_err("nobody may declare a reply queue");
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    let error = office.call(1, ARRIVE).await.expect_err("nor may anybody now");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Denied, Executed::No), "{error}");
    let error = office.tell(1, ARRIVE).await.expect_err("nobody may write");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Denied, Executed::No), "{error}");

    permit(&office.stage, &user, ".*").await;
    answers(&office).await;
    office.works().await;
    office.close().await;
}

/// Waits until a call is answered again.
async fn answers(office: &Office) {
    until("calls to be answered", async || Box::pin(office.call(1, Duration::from_secs(2))).await.is_ok()).await;
}

async fn permit(stage: &Stage, user: &str, names: &'static str) {
    let user = user.to_owned();
    let permit = move |stage: &Stage| {
        stage.node.set_permissions(&user, &stage.vhost, names, names, names).expect("permissions");
    };
    stage.control(permit).await;
}

/// Deletes the queues whose names are `wanted`, all at once as far as a client can tell.
async fn delete(stage: &Stage, wanted: impl Fn(&str) -> bool) {
    let bare = stage.bare().await;
    let channel = within(ARRIVE, "a channel", bare.create_channel()).await.expect("a channel");
    let names = stage.queue_names().await;
    let names: Vec<_> = names.iter().filter(|name| wanted(name)).collect();
    assert!(!names.is_empty());
    let deleting = names.iter().map(|name| channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()));
    let deleted = within(ARRIVE, "deleting", futures_util::future::join_all(deleting)).await;
    for deleted in deleted {
        deleted.expect("it is deleted");
    }
    let _ = tokio::time::timeout_at(soon().instant(), bare.close(200, "done".into())).await;
}
