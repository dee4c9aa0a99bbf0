//! What an operator, or a broker by itself, does to queues, consumers and rights while a call is under way.

use std::time::Duration;

use lapin::options::QueueDeleteOptions;
use oslo_messaging::{ErrorKind, Executed, State};
use tokio::time::{Instant, sleep_until};
use xtask::fault_duration::fault_duration;

use crate::workload::Workload;
use testkit::stage::{ARRIVE, Stage, back, soon, unique, until, url, within};

/// Long enough for the reply to be sent again once its queue is back.
const PATIENT: Duration = Duration::from_secs(60);
/// How long an alarm lasts.
const ALARMED: Duration = Duration::from_secs(1);

/// The answer finds no queue, and is sent again until there is one.
pub(crate) async fn a_reply_queue_that_is_deleted_in_mid_call_costs_no_answer() {
    let workload = Workload::open("").await;
    let call = workload.call_waiting(7, PATIENT);
    let deleting = async {
        within(ARRIVE, "the request", workload.waiting.acquire()).await.expect("it is open").forget();
        let recoveries = workload.transport.counters().recoveries;
        delete(&workload.stage, |name| name.starts_with("reply_")).await;
        workload.release.add_permits(1);
        until("the reply queue to be back", async || workload.transport.counters().recoveries > recoveries).await;
    };
    let (answer, ()) = tokio::join!(call, deleting);
    answer.expect("it ran, and its caller waits for the answer");
    workload.works().await;
    workload.close().await;
}

/// The broker cancels every consumer of a server; the requests that come meanwhile wait for no queue to come back.
pub(crate) async fn queues_that_are_deleted_under_a_server_and_a_listener_are_made_again() {
    let workload = Workload::open("").await;
    delete(&workload.stage, |name| !name.starts_with("reply_")).await;
    // Calls are undeliverable until the queue is there, or fail as such.
    answers(&workload).await;
    workload.works().await;
    workload.close().await;
}

/// A caller whose connection an operator closes while a method runs has its answer all the same.
pub(crate) async fn connections_that_are_closed_in_mid_call_cost_no_answer() {
    let workload = Workload::open("").await;
    let call = workload.call_waiting(7, PATIENT);
    let closing = async {
        within(ARRIVE, "the request", workload.waiting.acquire()).await.expect("it is open").forget();
        workload.stage.close_connections("maintenance in mid-call").await;
        back(&workload.transport, 1).await;
        workload.release.add_permits(1);
    };
    let (answer, ()) = tokio::join!(call, closing);
    answer.expect("it ran, and its caller waits for the answer");
    workload.works().await;
    workload.close().await;
}

/// An alarm in the middle of a call holds the answer back, and loses nothing.
pub(crate) async fn an_alarm_in_mid_call_delays_the_answer() {
    let (_node, stage) = Stage::own().await;
    let address = stage.url();
    let workload = Workload::with(stage, "guest", "guest", "", &address).await;
    let call = workload.call_waiting(7, PATIENT);
    let alarming = async {
        within(ARRIVE, "the request", workload.waiting.acquire()).await.expect("it is open").forget();
        let alarm = workload.stage.control(|stage| stage.node.memory_alarm().expect("an alarm")).await;
        let end = Instant::now() + fault_duration(ALARMED);
        workload.release.add_permits(1);
        let error = workload.call(8, Duration::from_secs(1)).await.expect_err("publishers are stopped");
        assert!(matches!(error.kind(), ErrorKind::Blocked | ErrorKind::Timeout), "{error}");
        sleep_until(end).await;
        workload.stage.control(move |_| drop(alarm)).await;
    };
    let (answer, ()) = tokio::join!(call, alarming);
    answer.expect("it ran, and its caller waits for the answer");
    workload.works().await;
    assert_eq!(workload.transport.counters().losses, 0);
    workload.close().await;
}

/// Operations without rights fail with the reason, and everything works once the rights are back.
pub(crate) async fn rights_that_are_taken_away_are_reported_and_everything_works_once_they_are_back() {
    let (stage, user) = (Stage::shared().await, unique("u"));
    let name = user.clone();
    let allow = move |stage: &Stage| {
        stage.node.add_user(&name, "secret").expect("a user");
        stage.node.set_permissions(&name, &stage.vhost, ".*", ".*", ".*").expect("permissions");
    };
    stage.control(allow).await;
    let address = url(&stage.node.url_as(&user, "secret", &stage.vhost));
    let workload = Workload::with(stage, &user, "secret", "", &address).await;

    permit(&workload.stage, &user, "^$").await;
    // A broker asks for rights once for each channel.
    workload.stage.close_connections("see what you may do now").await;
    let mut health = workload.serving.health();
    let denied =
        health.wait_for(|health| matches!(&health.state, State::Lost { reason } if reason.contains("access denied")));
    let alarm = format!("{:?}", *within(ARRIVE, "the alarm", denied).await.expect("a state"));
    assert!(alarm.contains("ACCESS_REFUSED") && !alarm.contains("secret"), "{alarm}");
    back(&workload.transport, 1).await;
    // The inbox may not have noticed yet that it has ended, and then ends with the calls that wait for it.
    let error = workload.call(1, ARRIVE).await.expect_err("the user may not declare a reply queue");
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    let error = workload.call(1, ARRIVE).await.expect_err("and the call is denied again");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Denied, Executed::No), "{error}");
    let error = workload.notify(1, ARRIVE).await.expect_err("the user may not write");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Denied, Executed::No), "{error}");

    permit(&workload.stage, &user, ".*").await;
    answers(&workload).await;
    workload.works().await;
    workload.close().await;
}

/// Waits until a call is answered again.
async fn answers(workload: &Workload) {
    until("calls to be answered", async || Box::pin(workload.call(1, Duration::from_secs(2))).await.is_ok()).await;
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
