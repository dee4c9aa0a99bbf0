//! Replies: which call they answer, their forms, and what happens to a reply without a waiting caller.

use futures_util::future::{join_all, try_join_all};
use oslo_messaging::wire::{CallFields, Request};
use oslo_messaging::{Context, Error, ErrorKind, Executed, Failure, Payload, RpcClient};
use serde_json::{Value, json};

use super::Group;
use crate::cases::cases;
use crate::cases::peer::{Peer, client, envelope, reply, target};
use crate::{Outcome, Stage};

cases! { rpc_reply;
    /// oslo.messaging TestSendReceive: replies that are given in a shuffled order reach the right
    /// sender; None, [], {}, False and 0 among them.
    they_reach_their_own_calls_in_any_order [];
    /// Listener::address: of an inbox, the name that travels in _reply_q;
    /// Address::Direct: a queue by its name, as a reply needs it.
    they_reach_their_own_callers [];
    /// wire::Reply: A call may be answered in two messages: the result with
    /// ending false, then a null result with ending true.
    a_reply_in_two_messages_is_one [];
    /// oslo.messaging ReplyWaiters.put: a reply to an unknown _msg_id is logged and dropped.
    one_that_comes_late_disturbs_nobody [];
    /// wire::Reply::decode: Decode if it is no reply; RpcClient::call waits for its own.
    what_is_none_disturbs_nobody [];
    /// oslo.messaging ReplyWaiter._process_reply: a second reply is to be dropped; its call is unknown by then.
    a_call_takes_one_reply [];
    /// RpcClient::call: A dropped call disturbs no other. The method may still run; its reply is dropped.
    a_dropped_call_is_forgotten [];
    /// oslo.messaging AMQPIncomingMessage.reply: it tries for 60 s in the worker. Here a server of one worker goes on.
    one_to_a_vanished_caller_blocks_no_other [];
    /// Bus::close: Ends every waiting call with Closed.
    closing_the_bus_ends_every_call [];
    /// oslo.messaging deserialize_remote_exception: an exception of a module that is not allowed is a RemoteError of
    /// its class, value and traceback.
    a_failure_that_nobody_declared_is_told_with_its_class [];
}

/// Calls `ask` with `number`; the hand-written server answers.
async fn ask(client: &RpcClient, number: usize) -> Result<Value, Error> {
    client.call(&Context::new(), "ask", &json!({ "number": number })).await
}

/// Eight calls wait at once and are answered in another order. No call may be left in flight.
async fn they_reach_their_own_calls_in_any_order(stage: &Stage) -> Outcome {
    let (mut peer, (bus, client)) = (Peer::server(stage).await?, client(stage).await?);
    let values = [json!("rx_id"), json!(null), json!([]), json!({}), json!(false), json!(0), json!(1.5), json!("z")];
    let shuffled = async {
        let mut requests = Vec::new();
        while requests.len() < values.len() {
            requests.push(peer.request().await?);
        }
        requests.rotate_left(3);
        for request in requests.into_iter().rev() {
            let number = request.args.decode::<Value>()?["number"].as_u64().ok_or("it asks for a number")?;
            peer.answer(&request, values[usize::try_from(number)?].clone(), true).await?;
        }
        Ok(()) as Outcome
    };
    let (answers, answered) = tokio::join!(try_join_all((0..values.len()).map(|n| ask(&client, n))), shuffled);
    answered?;
    assert_eq!((answers?, bus.calls_in_flight()), (values.to_vec(), 0));
    Ok(())
}

/// Four buses, each with its own inbox, call two servers. A reply in the wrong inbox would end in a timeout.
async fn they_reach_their_own_callers(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a", "b"]).await?;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(client(stage).await?);
    }
    let (clients, context) = (&clients, &Context::new());
    let calls = (0..40).map(|n| async move {
        let (_, client) = &clients[n % clients.len()];
        client.call::<usize>(context, "echo", &json!({ "value": n })).await
    });
    assert_eq!(try_join_all(calls).await?, (0..40).collect::<Vec<_>>());
    group.stop().await
}

/// The values include `0` and null: a caller that takes the second message's null for the result fails.
async fn a_reply_in_two_messages_is_one(stage: &Stage) -> Outcome {
    let (mut peer, (_bus, client)) = (Peer::server(stage).await?, client(stage).await?);
    for value in [json!({ "a": [1] }), json!(0), json!(null)] {
        let twice = async {
            let request = peer.request().await?;
            peer.answer(&request, value.clone(), false).await?;
            peer.answer(&request, json!(null), true).await
        };
        let (answer, answered) = tokio::join!(ask(&client, 1), twice);
        answered?;
        assert_eq!(answer?, value);
    }
    Ok(())
}

/// Answers the next request with its own argument `number`, so that each reply shows its call.
async fn answer_next(peer: &mut Peer<'_>) -> Outcome {
    let request = peer.request().await?;
    let number = request.args.decode::<Value>()?["number"].clone();
    peer.answer(&request, number, true).await
}

/// The timed-out call must say `Executed::Maybe` and be removed at once.
/// The next call must get its own reply, not the late one.
async fn one_that_comes_late_disturbs_nobody(stage: &Stage) -> Outcome {
    let (mut peer, (bus, client)) = (Peer::server(stage).await?, client(stage).await?);
    let error = ask(&client.prepare().timeout(stage.budget().quiet), 1).await.expect_err("no server answers");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe), "{error}");
    assert_eq!(bus.calls_in_flight(), 0);
    answer_next(&mut peer).await?;
    let (answer, answered) = tokio::join!(ask(&client, 2), answer_next(&mut peer));
    answered?;
    assert_eq!(answer?, 2);
    Ok(())
}

/// Seven bodies that are no reply to this call arrive before the true one.
async fn what_is_none_disturbs_nobody(stage: &Stage) -> Outcome {
    let (mut peer, (_bus, client)) = (Peer::server(stage).await?, client(stage).await?);
    let answering = async {
        let request = peer.request().await?;
        for body in ["", "not json", "[]", r#"{"oslo.version": "3.0", "oslo.message": "{}"}"#] {
            peer.answer_raw(&request, body).await?;
        }
        for content in ["{}", r#"{"_msg_id": "no id of ours", "result": 1, "ending": true}"#, r#"{"_msg_id": 7}"#] {
            peer.answer_raw(&request, envelope(content)).await?;
        }
        peer.answer(&request, json!("at last"), true).await
    };
    let (answer, answered) = tokio::join!(ask(&client, 1), answering);
    answered?;
    assert_eq!(answer?, "at last");
    Ok(())
}

/// The first reply comes twice with one `_unique_id`; another one follows. None may reach the next call.
async fn a_call_takes_one_reply(stage: &Stage) -> Outcome {
    let (mut peer, (bus, client)) = (Peer::server(stage).await?, client(stage).await?);
    let twice = async {
        let request = peer.request().await?;
        let first = reply(&request, json!("first"), true)?.encode();
        peer.answer_raw(&request, first.clone()).await?;
        peer.answer_raw(&request, first).await?;
        peer.answer(&request, json!("other"), true).await
    };
    let (answer, answered) = tokio::join!(ask(&client, 1), twice);
    answered?;
    assert_eq!((answer?, bus.calls_in_flight()), (json!("first"), 0));
    let (answer, answered) = tokio::join!(ask(&client, 2), answer_next(&mut peer));
    answered?;
    assert_eq!(answer?, 2, "the second reply to the first call is no reply to the second call");
    Ok(())
}

/// `select!` drops the call once its request was read. Its reply arrives afterwards.
async fn a_dropped_call_is_forgotten(stage: &Stage) -> Outcome {
    let (mut peer, (bus, client)) = (Peer::server(stage).await?, client(stage).await?);
    let request = tokio::select! {
        answer = ask(&client, 1) => return Err(format!("no server answered, but {answer:?} came").into()),
        request = peer.request() => request?,
    };
    assert_eq!(bus.calls_in_flight(), 0, "the call was dropped");
    peer.answer(&request, json!("no caller waits"), true).await?;
    let (answer, answered) = tokio::join!(ask(&client, 2), answer_next(&mut peer));
    answered?;
    assert_eq!(answer?, 2);
    Ok(())
}

/// Ten requests name a queue that does not exist, and the server runs one method at a time.
async fn one_to_a_vanished_caller_blocks_no_other(stage: &Stage) -> Outcome {
    let group = Group::with(stage, target(stage), &["a"], |server| server.concurrency(1)).await?;
    let (mut peer, gone) = (Peer::caller(stage).await?, stage.name("reply_gone"));
    for n in 0..10 {
        let mut request = Request::new("add", Payload::from(json!({ "increment": n })));
        request.call = Some(CallFields::new(format!("{n}"), &gone));
        peer.send(request.encode()).await?;
    }
    let sum: i64 = group.client.call(&Context::new(), "add", &json!({"increment": 0})).await?;
    assert_eq!(sum, 45, "the server ran them all and then answered");
    // Dropped instead of stopped: a stop would wait a minute for its replies, which no caller takes.
    drop(group);
    Ok(())
}

/// Calls in flight may have run (`Executed::Maybe`); a call after the close cannot have (`Executed::No`).
async fn closing_the_bus_ends_every_call(stage: &Stage) -> Outcome {
    let (mut peer, (bus, client)) = (Peer::server(stage).await?, client(stage).await?);
    let closing = async {
        for _ in 0..3 {
            peer.request().await?;
        }
        assert_eq!(bus.calls_in_flight(), 3);
        Ok(bus.close(stage.soon()).await?) as Outcome
    };
    let (answers, closed) = tokio::join!(join_all((0..3).map(|n| ask(&client, n))), closing);
    closed?;
    for answer in answers {
        let error = answer.expect_err("the bus was closed first");
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Closed, Executed::Maybe), "{error}");
    }
    let error = ask(&client, 1).await.expect_err("the bus is closed");
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Closed, Executed::No), "{error}");
    Ok(())
}

/// The reply has a result too; the failure must prevail.
async fn a_failure_that_nobody_declared_is_told_with_its_class(stage: &Stage) -> Outcome {
    let (mut peer, (_bus, client)) = (Peer::server(stage).await?, client(stage).await?);
    let failing = async {
        let request = peer.request().await?;
        let failure = Failure::new("shop.errors", "SoldOut", "no more of it");
        let mut failed = reply(&request, json!(1), true)?;
        failed.failure = Some(failure.into());
        peer.answer_raw(&request, failed.encode()).await
    };
    let (answer, answered) = tokio::join!(ask(&client, 1), failing);
    answered?;
    let error = answer.expect_err("a failure counts, whatever the result beside it");
    let remote = error.remote().ok_or("the error says how the method failed")?;
    assert_eq!((remote.module(), remote.class()), ("shop.errors", "SoldOut"));
    assert!(remote.message().contains("no more of it"), "{remote}");
    Ok(())
}
