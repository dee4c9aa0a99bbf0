//! How long a call waits, and what it hears meanwhile.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::wire::{CallFields, Reply, Request};
use oslo_messaging::{Context, Endpoint, Error, ErrorKind, Executed, Payload, RpcClient, RpcServer, Target};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Group;
use crate::cases::cases;
use crate::cases::peer::{Peer, client, reply, target};
use crate::{Failed, Outcome, Recorder, Stage};

cases! { rpc_time;
    /// RpcClient::call: One deadline covers everything from connecting to the reply.
    /// The reference's clock starts after the publish.
    the_clock_runs_from_the_first_step [];
    /// oslo.messaging Connection.topic_send: a call is published with its timeout as expiration.
    a_call_that_expired_in_its_queue_never_runs [Expiration, Retention];
    /// oslo.messaging TestRabbitPublisher.test_send and test_send_with_timeout: expiration is the timeout, or none.
    a_call_carries_its_timeout_and_a_cast_none [Expiration];
    /// Context: a call made with this context ends by that deadline.
    a_call_from_a_method_ends_by_its_callers_deadline [];
    /// oslo.messaging RPCDispatcher._watchdog: if _timeout is set, a reply with ending false every half of it.
    heartbeats_come_while_the_method_runs [];
    /// RpcClient::monitor: Gives a call up when its server was not heard of; a request that waits to start is heard of.
    heartbeats_come_while_the_request_waits_its_turn [];
    /// oslo.messaging RPCDispatcher.dispatch: it leaves its watchdog running for an
    /// unknown method; here it ends with the answer.
    a_refused_request_leaves_no_heartbeat_behind [];
    /// oslo.messaging ReplyWaiter.wait: no heartbeat within call_monitor_timeout is a timeout.
    a_monitored_call_gives_up_on_a_silent_server [];
    /// oslo.messaging ReplyWaiter.wait: a heartbeat restarts the monitor alone; timeout stays the hard limit.
    heartbeats_do_not_extend_the_timeout [];
}

/// The new sum shows whether an earlier `add` ran too.
async fn add(client: &RpcClient, increment: i64) -> Result<i64, Error> {
    client.call(&Context::new(), "add", &json!({ "increment": increment })).await
}

/// A timeout of zero must fail before anything is sent, with and without an open inbox.
async fn the_clock_runs_from_the_first_step(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a"]).await?;
    let hurried = group.client.prepare().timeout(Duration::ZERO);
    // Without an inbox, which the first call opens, and with one.
    for increment in [1, 2] {
        let error = add(&hurried, 100).await.expect_err("there is no time for anything");
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert_eq!(add(&group.client, increment).await?, increment * (increment + 1) / 2);
    }
    assert_eq!(group.recorder.quiet().await?.len(), 2, "what had no time was never sent");
    group.stop().await
}

/// The queue exists without a reader while the call times out. The server that starts later must run only the new call.
async fn a_call_that_expired_in_its_queue_never_runs(stage: &Stage) -> Outcome {
    let first = Group::start(stage, &["a"]).await?;
    // Its connection and its inbox are open, so that the short time is spent in the queue alone.
    add(&first.client, 1).await?;
    let hurried = first.client.prepare().timeout(stage.budget().quiet * 2);
    first.stop().await?;
    let error = add(&hurried, 100).await.expect_err("no server is up");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe), "{error}");
    let next = Group::start(stage, &["a"]).await?;
    assert_eq!(add(&next.client, 10).await?, 10, "the call of before did not run");
    assert_eq!(next.recorder.quiet().await?.len(), 1);
    next.stop().await
}

/// The message of the call expires after 77 s, which is its timeout.
async fn a_call_carries_its_timeout_and_a_cast_none(stage: &Stage) -> Outcome {
    let (mut peer, (_bus, client)) = (Peer::server(stage).await?, client(stage).await?);
    let (context, client) = (Context::new(), client.timeout(Duration::from_secs(77)));
    client.cast(&context, "add", &()).await?;
    let cast = peer.reading.next().await?;
    assert_eq!(cast.message().expiration, None, "a cast does not expire with its sender's timeout");
    cast.acknowledge().await?;
    let called = tokio::select! {
        answer = client.call::<Value>(&context, "add", &()) => return Err(format!("no server answers, but {answer:?}").into()),
        called = peer.reading.next() => called?,
    };
    assert_eq!(called.message().expiration, Some(Duration::from_secs(77)));
    Ok(called.acknowledge().await?)
}

/// Makes a nested call with the context of its request, and records the kind of its error.
async fn pass_on(state: Arc<(RpcClient, Recorder)>, context: Context, (): ()) -> Result<(), Infallible> {
    let outcome = state.0.call::<Value>(&context, "ask", &()).await;
    state.1.record("inner", outcome.expect_err("no server answers").kind());
    Ok(())
}

/// The inner client would wait for an hour. Its call must end with the deadline of the outer call.
async fn a_call_from_a_method_ends_by_its_callers_deadline(stage: &Stage) -> Outcome {
    let (mut silent, recorder) = (Peer::server(stage).await?, stage.recorder());
    let (bus, inner) = client(stage).await?;
    let outer = Target::topic(stage.name("outer")).exchange(stage.name("e"));
    let patient = inner.timeout(Duration::from_secs(3600));
    let endpoint = Endpoint::new((patient, recorder.clone())).method("pass_on", pass_on);
    let server = RpcServer::builder(&bus, outer.clone().server("a")).endpoint(endpoint).start(stage.soon()).await?;
    let caller = RpcClient::new(&stage.bus().await?, outer).timeout(stage.budget().quiet * 3);
    let error = caller.call::<Value>(&Context::new(), "pass_on", &()).await.expect_err("the inner call has no answer");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    silent.request().await?;
    let ended = recorder.wait(1).await?;
    assert_eq!(ended[0].what, ErrorKind::Timeout.to_string(), "it ended long before its own hour");
    Ok(server.shutdown(stage.soon()).await?)
}

/// A request for `method` whose caller expects a heartbeat every second.
fn monitored(method: &str, inbox: &str) -> Request {
    let mut request = Request::new(method, Payload::from(json!({})));
    request.call = Some(CallFields::new("1", inbox).with_monitor(Some(1.0)));
    request
}

/// Skips heartbeats; fails if no reply comes within `Budget::arrive`.
async fn last_reply(peer: &mut Peer<'_>) -> Result<Reply, Failed> {
    loop {
        let reply = peer.reply().await?;
        if !reply.is_heartbeat() {
            return Ok(reply);
        }
    }
}

/// Two heartbeats must come before the gate opens. They carry the `_msg_id` of the call.
async fn heartbeats_come_while_the_method_runs(stage: &Stage) -> Outcome {
    let (group, mut peer) = (Group::start(stage, &["a"]).await?, Peer::caller(stage).await?);
    let request = monitored("hold", &peer.inbox()?);
    peer.send(request.encode()).await?;
    for _ in 0..2 {
        let heartbeat = peer.reply().await?;
        assert!(heartbeat.is_heartbeat() && heartbeat.msg_id == "1", "{heartbeat:?}");
    }
    group.gate.add_permits(1);
    let last = last_reply(&mut peer).await?;
    assert_eq!((last.result.as_str(), last.ending), ("\"a\"", true));
    group.stop().await
}

/// The server runs one method at a time and holds the second request in reserve.
async fn heartbeats_come_while_the_request_waits_its_turn(stage: &Stage) -> Outcome {
    let one = Group::with(stage, target(stage), &["a"], |server| server.concurrency(1).reserve(8)).await?;
    let mut peer = Peer::caller(stage).await?;
    one.client.cast(&Context::new(), "hold", &()).await?;
    one.recorder.wait(1).await?;
    let request = monitored("names", &peer.inbox()?);
    peer.send(request.encode()).await?;
    let heartbeat = peer.reply().await?;
    assert!(heartbeat.is_heartbeat(), "it waits for the one that runs: {heartbeat:?}");
    one.gate.add_permits(1);
    assert_eq!(last_reply(&mut peer).await?.result.as_str(), "[]");
    one.stop().await
}

/// An unknown method, a panic and missing arguments. After each reply nothing more may come.
async fn a_refused_request_leaves_no_heartbeat_behind(stage: &Stage) -> Outcome {
    let (group, mut peer) = (Group::start(stage, &["a"]).await?, Peer::caller(stage).await?);
    for method in ["no_such_method", "panic", "add"] {
        let request = monitored(method, &peer.inbox()?);
        peer.send(request.encode()).await?;
        let reply = peer.reply().await?;
        assert!(reply.ending && reply.failure.is_some(), "{method}: {reply:?}");
    }
    // A heartbeat would come every half second.
    for _ in 0..5 {
        peer.reading.quiet().await?;
    }
    group.stop().await
}

/// The timeout is an hour, so only the monitor can end the call. Its value must travel in `_timeout`, in seconds.
async fn a_monitored_call_gives_up_on_a_silent_server(stage: &Stage) -> Outcome {
    let (mut silent, (bus, client)) = (Peer::server(stage).await?, client(stage).await?);
    let patient = client.timeout(Duration::from_secs(3600)).monitor(stage.budget().quiet);
    let (answer, request) = tokio::join!(timeout(stage.budget().arrive, add(&patient, 1)), silent.request());
    let error = answer?.expect_err("no server answers");
    assert_eq!(request?.call.and_then(|call| call.monitor), Some(stage.budget().quiet.as_secs_f64()));
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe), "{error}");
    assert_eq!(bus.calls_in_flight(), 0);
    Ok(())
}

/// The peer sends heartbeats without end and never answers.
async fn heartbeats_do_not_extend_the_timeout(stage: &Stage) -> Outcome {
    let (mut peer, (_bus, client)) = (Peer::server(stage).await?, client(stage).await?);
    let client = client.timeout(stage.budget().quiet * 3).monitor(stage.budget().arrive);
    let beating = async {
        let request = peer.request().await?;
        let heartbeat = reply(&request, Value::Null, false)?.encode();
        loop {
            peer.answer_raw(&request, heartbeat.clone()).await?;
            tokio::time::sleep(stage.budget().quiet / 4).await;
        }
    };
    tokio::select! {
        answer = add(&client, 1) => {
            let error = answer.expect_err("no server answers");
            assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe), "{error}");
            Ok(())
        }
        failed = beating => failed,
    }
}
