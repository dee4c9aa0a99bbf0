//! The life of a server: started, stopped, waited for, started again, dropped.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::driver::Subscription;
use oslo_messaging::rpc::RpcServerBuilder;
use oslo_messaging::{Context, Deadline, ErrorKind, RpcServer};
use serde_json::json;
use tokio::sync::Semaphore;

use super::{Counter, Group};
use crate::cases::cases;
use crate::cases::peer::{Peer, client, target};
use crate::{Failed, Outcome, Stage};

cases! { rpc_life;
    /// RpcServer::stop: Stops taking requests. Methods go on.
    a_stopped_server_finishes_what_it_runs_and_takes_no_more [Retention];
    /// RpcServer::shutdown: Timeout if deadline passes first, and then every method that still runs is aborted.
    what_runs_past_the_deadline_is_aborted [];
    /// RpcServer::stop: Timeout if deadline passes first; the server goes on stopping.
    a_stop_past_its_deadline_goes_on [];
    /// oslo.messaging TestServerLocking.test_start_stop_wait_stop_wait: stop and wait run once each, by
    /// whichever thread and however often they are called.
    all_who_stop_it_share_one_outcome [];
    /// RpcServerBuilder: Clone it to start the same server again.
    it_starts_again_from_its_settings [];
    /// Source::Server: the topic's queue, its own, and its share of the fanout; one name is one queue.
    two_of_one_name_share_its_requests [ServerAddress];
    /// RpcServer: Dropping it without wait aborts its methods; what is unsettled goes back to the broker.
    the_queue_of_a_dropped_server_is_taken_over [Retention];
    /// oslo.messaging RpcAMQPListener: a request is acknowledged before it runs, so no crash runs it twice.
    a_request_ends_with_the_server_that_runs_it [Retention];
    /// RpcServerBuilder::at_least_once: Acknowledges a request only when its
    /// answer is out, so that a crash brings it back.
    at_least_once_another_server_runs_it_again [Retention, RedeliveredFlag];
    /// RpcServerBuilder::refuse_redelivered: Answers a request that the broker hands over a
    /// second time with a failure instead of running it.
    what_came_before_is_refused_if_it_is_to_be [Requeue, Retention, RedeliveredFlag];
}

/// A group of one server, whose builder `change` completes, and a client of [`target`].
async fn one<'a>(
    stage: &'a Stage,
    name: &str,
    change: impl Fn(RpcServerBuilder) -> RpcServerBuilder,
) -> Result<Group<'a>, Failed> {
    Group::with(stage, target(stage), &[name], change).await
}

/// The method is held over the stop. Its reply must still be sent, and a later cast must wait for the next server.
async fn a_stopped_server_finishes_what_it_runs_and_takes_no_more(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a"]).await?;
    let (context, args) = (Context::new(), json!({ "increment": 1 }));
    let stopping = async {
        group.recorder.wait(1).await?;
        group.servers[0].stop(stage.soon()).await?;
        group.client.cast(&context, "add", &args).await?;
        assert_eq!(group.recorder.quiet().await?.len(), 1, "it takes no more");
        group.gate.add_permits(1);
        Ok(()) as Outcome
    };
    let (answer, stopped) = tokio::join!(group.client.call::<String>(&context, "hold", &()), stopping);
    stopped?;
    assert_eq!(answer?, "a", "what ran was answered after the stop");
    group.stop().await?;
    let next = Group::start(stage, &["b"]).await?;
    next.recorder.wait(1).await?;
    assert_eq!(next.recorder.at("b"), ["1"], "the cast was kept for the next server");
    next.stop().await
}

/// The recorder must show `aborted`: without the abort the task would outlive the value that owns it.
async fn what_runs_past_the_deadline_is_aborted(stage: &Stage) -> Outcome {
    let mut group = Group::start(stage, &["a"]).await?;
    group.client.cast(&Context::new(), "hold", &()).await?;
    group.recorder.wait(1).await?;
    let server = group.servers.pop().ok_or("one was started")?;
    let error = server.shutdown(Deadline::after(stage.budget().quiet)).await.expect_err("the gate is shut");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    group.recorder.wait(2).await?;
    assert_eq!(group.recorder.at("a"), ["began", "aborted"]);
    Ok(())
}

/// The first stop gets no time at all. It may succeed or time out; a second stop and `wait` must succeed.
async fn a_stop_past_its_deadline_goes_on(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a"]).await?;
    let outcome = group.servers[0].stop(Deadline::after(Duration::ZERO)).await;
    if let Err(error) = outcome {
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    }
    group.servers[0].stop(stage.soon()).await?;
    stage.soon().run("end", group.servers[0].wait()).await??;
    group.stop().await
}

/// Two stops and a wait run at once, while a method is held. None may end before the method.
async fn all_who_stop_it_share_one_outcome(stage: &Stage) -> Outcome {
    let mut group = Group::start(stage, &["a"]).await?;
    let (context, server) = (Context::new(), group.servers.pop().ok_or("one was started")?);
    group.client.cast(&context, "hold", &()).await?;
    group.recorder.wait(1).await?;
    let opening = async {
        assert_eq!(group.recorder.quiet().await?.len(), 1);
        group.gate.add_permits(1);
        Ok(()) as Outcome
    };
    let (first, second, ended, opened) =
        tokio::join!(server.stop(stage.soon()), server.stop(stage.soon()), server.wait(), opening);
    opened?;
    for outcome in [first, second, ended, server.stop(stage.soon()).await, server.wait().await] {
        outcome?;
    }
    assert_eq!(group.recorder.at("a"), ["began", "ended"], "the end waited for the method");
    Ok(server.shutdown(stage.soon()).await?)
}

/// The sum grows over three servers, because the clones share the state of one endpoint.
async fn it_starts_again_from_its_settings(stage: &Stage) -> Outcome {
    let (bus, recorder) = (stage.bus().await?, stage.recorder());
    let counter = Counter::endpoint("a", &recorder, &Arc::new(Semaphore::new(0)));
    let builder = RpcServer::builder(&bus, target(stage).server("a")).endpoint(counter);
    let (_bus, client) = client(stage).await?;
    for total in 1..=3 {
        let server = builder.clone().start(stage.soon()).await?;
        let sum: i64 = client.call(&Context::new(), "add", &json!({ "increment": 1 })).await?;
        assert_eq!(sum, total, "its endpoints are the same ones");
        server.shutdown(stage.soon()).await?;
    }
    Ok(())
}

/// Each of twenty calls must run once, and each server must run some.
async fn two_of_one_name_share_its_requests(stage: &Stage) -> Outcome {
    let (first, second) = (one(stage, "a", |server| server).await?, one(stage, "a", |server| server).await?);
    let client = first.client.prepare().server("a");
    for n in 0..20 {
        client.call::<i64>(&Context::new(), "add", &json!({ "increment": n })).await?;
    }
    let ran = [first.recorder.at("a"), second.recorder.at("a")];
    assert!(ran.iter().all(|share| !share.is_empty()), "{ran:?}");
    let mut ran: Vec<u32> = ran.concat().iter().map(|n| n.parse()).collect::<Result<_, _>>()?;
    ran.sort_unstable();
    assert_eq!(ran, (0..20).collect::<Vec<_>>());
    first.stop().await?;
    second.stop().await
}

/// Casts are sent while no server exists. The next server, of another name, must run them in order.
async fn the_queue_of_a_dropped_server_is_taken_over(stage: &Stage) -> Outcome {
    let first = Group::start(stage, &["a"]).await?;
    let client = first.client.clone();
    drop(first);
    let mut sent = Vec::new();
    for n in 0..10 {
        client.cast(&Context::new(), "add", &json!({ "increment": n })).await?;
        sent.push(n.to_string());
    }
    let second = Group::start(stage, &["b"]).await?;
    second.recorder.wait(10).await?;
    assert_eq!(second.recorder.at("b"), sent);
    second.stop().await
}

/// The dropped server held an acknowledged cast. The server after it must run nothing but the new call.
async fn a_request_ends_with_the_server_that_runs_it(stage: &Stage) -> Outcome {
    let (mut first, context) = (Group::start(stage, &["a"]).await?, Context::new());
    first.client.cast(&context, "hold", &()).await?;
    first.recorder.wait(1).await?;
    first.servers.clear();
    first.recorder.wait(2).await?;
    assert_eq!(first.recorder.at("a"), ["began", "aborted"]);
    let second = Group::start(stage, &["b"]).await?;
    second.client.call::<i64>(&context, "add", &json!({ "increment": 1 })).await?;
    assert_eq!(second.recorder.quiet().await?.len(), 1, "it does not run again");
    second.stop().await
}

/// The caller is not aware of the change of servers: one call, one answer.
/// The last reader checks that the second server acknowledged the request after its reply.
async fn at_least_once_another_server_runs_it_again(stage: &Stage) -> Outcome {
    let (mut first, context) = (one(stage, "a", RpcServerBuilder::at_least_once).await?, Context::new());
    let second = async {
        first.recorder.wait(1).await?;
        first.servers.clear();
        let second = one(stage, "b", RpcServerBuilder::at_least_once).await?;
        second.recorder.wait(1).await?;
        second.gate.add_permits(1);
        Ok::<_, Failed>(second)
    };
    let (answer, second) = tokio::join!(first.client.call::<String>(&context, "hold", &()), second);
    let second = second?;
    assert_eq!(answer?, "b", "the call outlived the server that it began at");
    second.recorder.quiet().await?;
    assert_eq!((first.recorder.at("a"), second.recorder.at("b").len()), (vec!["began".into(), "aborted".into()], 2));
    second.stop().await?;
    stage.read(&stage.connect().await?, Subscription::new(stage.server("e", "t", "later"))).await?.quiet().await
}

/// Runs with and without `refuse_redelivered`. Without it, the method itself must see the flag.
async fn what_came_before_is_refused_if_it_is_to_be(stage: &Stage) -> Outcome {
    let context = Context::new();
    for (refuse, answer) in [(true, "RequestRedelivered"), (false, "true")] {
        let (mut peer, (_bus, client)) = (Peer::server(stage).await?, client(stage).await?);
        let handing_on = async {
            let held = peer.reading.next().await?;
            let next = one(stage, "a", |server| if refuse { server.refuse_redelivered() } else { server }).await?;
            drop(held);
            peer.reading.close().await?;
            Ok::<_, Failed>(next)
        };
        let (answered, next) = tokio::join!(client.call::<bool>(&context, "redelivered", &()), handing_on);
        let answered = match answered {
            Err(error) => error.remote().map(|remote| remote.class().to_owned()).ok_or(error)?,
            Ok(redelivered) => redelivered.to_string(),
        };
        assert_eq!(answered, answer);
        next?.stop().await?;
    }
    Ok(())
}
