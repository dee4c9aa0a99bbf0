//! Requests as bytes: what clients write, and how a server handles what other peers write.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::driver::{Settle, Subscription};
use oslo_messaging::wire::{CallFields, Compression, Request};
use oslo_messaging::{Bus, Context, Endpoint, Payload, RpcClient, RpcServer};
use serde_json::{Value, json};

use super::Group;
use crate::cases::cases;
use crate::cases::peer::{Peer, client, envelope, target};
use crate::{Failed, Outcome, Stage};

cases! { rpc_request;
    /// oslo.messaging TestRequestWireFormat: the exact envelope of a message to a topic, a server and a fanout, with
    /// its _unique_id and its _context_*.
    it_is_written_as_the_reference_writes_it [ServerAddress, Fanout];
    /// oslo.messaging AMQPDriverBase._send: a call carries _msg_id, _reply_q and _timeout, null if unmonitored.
    a_call_says_where_its_reply_goes [];
    /// oslo.messaging TestReplyWireFormat: a hand-made 2.0 message with _msg_id, _reply_q and _timeout null is
    /// delivered with its context, and answered.
    one_that_is_written_by_hand_is_answered [];
    /// oslo.messaging deserialize_msg: a body without an envelope is the message itself.
    one_without_an_envelope_is_read_too [];
    /// oslo.messaging AMQPIncomingMessage.reply: without a _msg_id nothing is sent.
    a_cast_is_never_answered [];
    /// oslo.messaging deserialize_msg raises for what is no message; IncomingMessage::reject: drops it.
    what_is_none_is_rejected_and_the_server_lives [];
    /// oslo.messaging _MsgIdCache: a second message of one _unique_id is ignored.
    a_copy_runs_once [];
    /// Payload: NaN and infinities are null, lone surrogates are U+FFFD, integers of any size stay what they are.
    what_only_python_writes_is_read [];
    /// oslo.messaging TestRequestWireFormat with kombu_compression: what is compressed arrives as it was.
    a_compressed_one_is_answered [];
    /// Endpoint::method: The method is first polled in the order in which requests arrived; Transport::publish: From
    /// one caller to one address, order holds.
    casts_start_in_the_order_in_which_they_were_sent [];
}

/// The next request, which must be text in an envelope of version 2.0 without other fields. Acknowledges it.
async fn content(peer: &mut Peer<'_>) -> Result<Value, Failed> {
    let message = peer.reading.next().await?;
    let body: Value = serde_json::from_slice(&message.message().body)?;
    message.acknowledge().await?;
    let text = body["oslo.message"].as_str().ok_or("the content is text inside of the envelope")?;
    assert_eq!(body, json!({ "oslo.version": "2.0", "oslo.message": text }));
    Ok(serde_json::from_str(text)?)
}

/// Checks and removes the fields of `content` that differ in each message.
fn take_id(content: &mut Value, name: &str) {
    let id = content.as_object_mut().and_then(|content| content.remove(name)).unwrap_or_default();
    let id = id.as_str().unwrap_or_default();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}: {id:?}");
}

/// Compares whole objects, so a field that the reference does not write fails the case.
async fn it_is_written_as_the_reference_writes_it(stage: &Stage) -> Outcome {
    let (mut peer, (_bus, client)) = (Peer::server(stage).await?, client(stage).await?);
    let context = Context::new().with("user", "alice").with("roles", json!([1, null]));
    let args = json!({ "when": "1920-02-03T04:05:06.000007", "n": 1 });
    let named = client.prepare().namespace("ns").version("1.2");
    for client in [named.clone(), named.prepare().server(crate::cases::peer::SERVER), named.fanout()] {
        client.cast(&context, "foo", &args).await?;
        let mut written = content(&mut peer).await?;
        take_id(&mut written, "_unique_id");
        let expected = json!({ "method": "foo", "args": args, "namespace": "ns", "version": "1.2",
            "_context_user": "alice", "_context_roles": [1, null] });
        assert_eq!(written, expected, "{}", client.target());
    }
    Ok(())
}

/// `_timeout` is in seconds. Both calls must name one reply queue, although their clients differ.
async fn a_call_says_where_its_reply_goes(stage: &Stage) -> Outcome {
    let (mut peer, (_bus, client)) = (Peer::server(stage).await?, client(stage).await?);
    let mut queues = Vec::new();
    for (client, monitor) in [(client.clone(), None), (client.monitor(Duration::from_secs(10)), Some(10.0))] {
        let calling = Context::new();
        let (answer, written) = tokio::join!(client.call::<String>(&calling, "foo", &()), answered(&mut peer));
        let mut written = written?;
        assert_eq!(answer?, "bar");
        assert_eq!((written["_timeout"].as_f64(), &written["args"]), (monitor, &json!({})));
        take_id(&mut written, "_msg_id");
        take_id(&mut written, "_unique_id");
        queues.push(written["_reply_q"].clone());
    }
    assert!(queues[0].is_string() && queues[0] == queues[1], "all calls of a bus share one reply queue: {queues:?}");
    Ok(())
}

/// Answers one call with `bar` and gives the content of its request.
async fn answered(peer: &mut Peer<'_>) -> Result<Value, Failed> {
    let written = content(peer).await?;
    let text = |name: &str| written[name].as_str().unwrap_or_default();
    let mut request = Request::new("foo", Payload::null());
    request.call = Some(CallFields::new(text("_msg_id"), text("_reply_q")));
    peer.answer(&request, json!("bar"), true).await?;
    Ok(written)
}

/// A request for `method` as the reference writes it, to be answered to `inbox`.
fn by_hand(method: &str, args: &Value, inbox: &str, unique_id: &str) -> Value {
    json!({ "method": method, "args": args, "_msg_id": "0123", "_reply_q": inbox, "_timeout": null,
        "_unique_id": unique_id, "_context_user": "alice", "_context_client_timeout": null, "unknown": {} })
}

/// The request has a field `unknown` and a context value `client_timeout`, neither of which may reach the method.
async fn one_that_is_written_by_hand_is_answered(stage: &Stage) -> Outcome {
    let (group, mut peer) = (Group::start(stage, &["a"]).await?, Peer::caller(stage).await?);
    let inbox = peer.inbox()?;
    peer.send(envelope(&by_hand("user", &json!({}), &inbox, "1").to_string())).await?;
    peer.send(envelope(&by_hand("names", &json!({}), &inbox, "2").to_string())).await?;
    let mut replies = Vec::new();
    for _ in 0..2 {
        let reply = peer.reply().await?;
        assert_eq!((reply.msg_id.as_str(), reply.ending, reply.failure), ("0123", true, None));
        assert_eq!(reply.unique_id.len(), 32, "the reply has an id of its own");
        replies.push(reply.result.as_str().to_owned());
    }
    replies.sort();
    assert_eq!(replies, [r#""alice""#, r#"["user"]"#], "what the bus added to the context is taken out");
    group.stop().await
}

/// The reply is read with its envelope, as always: only the request goes without.
async fn one_without_an_envelope_is_read_too(stage: &Stage) -> Outcome {
    let (group, mut peer) = (Group::start(stage, &["a"]).await?, Peer::caller(stage).await?);
    let request = by_hand("add", &json!({ "increment": 7 }), &peer.inbox()?, "1");
    peer.send(request.to_string()).await?;
    assert_eq!(peer.reply().await?.result.as_str(), "7");
    group.stop().await
}

/// A request with only one of `_msg_id` and `_reply_q` counts as a cast. Both must run.
async fn a_cast_is_never_answered(stage: &Stage) -> Outcome {
    let (group, mut peer) = (Group::start(stage, &["a"]).await?, Peer::caller(stage).await?);
    for (unique_id, missing) in [("1", "_msg_id"), ("2", "_reply_q")] {
        let mut request = by_hand("add", &json!({ "increment": 7 }), &peer.inbox()?, unique_id);
        request.as_object_mut().ok_or("a request is an object")?.remove(missing);
        peer.send(envelope(&request.to_string())).await?;
    }
    group.recorder.wait(2).await?;
    peer.reading.quiet().await?;
    group.stop().await
}

/// Ten bodies, among them nested lists 100,000 deep, which would exhaust the stack of a recursive parser.
/// Both settlements must leave an empty queue: an unreadable request that is requeued would come back for ever.
async fn what_is_none_is_rejected_and_the_server_lives(stage: &Stage) -> Outcome {
    let subscription = Subscription::new(stage.server("e", "t", "later"));
    for settle in [Settle::BeforeHandover, Settle::ByReceiver] {
        let group = Group::with(stage, target(stage), &["a"], |server| match settle {
            Settle::BeforeHandover => server,
            Settle::ByReceiver => server.at_least_once(),
        });
        let (group, mut peer) = (group.await?, Peer::caller(stage).await?);
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for body in ["", "not json", "[1]", "null", &deep, &envelope("not json"), &envelope(r#"{"args":{}}"#)] {
            peer.send(body).await?;
        }
        peer.send([0xff, 0xfe, 0x00]).await?;
        peer.send(r#"{"oslo.version": "3.0", "oslo.message": "{}"}"#).await?;
        peer.send(envelope(r#"{"method": ["add"], "args": {"increment": 1}}"#)).await?;
        let sum: i64 = group.client.call(&Context::new(), "add", &json!({"increment": 1})).await?;
        assert_eq!((sum, group.recorder.events().len()), (1, 1), "{settle:?}");
        group.stop().await?;
        stage.read(&stage.connect().await?, subscription.clone()).await?.quiet().await?;
    }
    Ok(())
}

/// Sends the third copy after the reply to the first. No second reply may come.
async fn a_copy_runs_once(stage: &Stage) -> Outcome {
    for at_least_once in [false, true] {
        let group =
            Group::with(
                stage,
                target(stage),
                &["a"],
                |server| {
                    if at_least_once { server.at_least_once() } else { server }
                },
            );
        let (group, mut peer) = (group.await?, Peer::caller(stage).await?);
        let copy = envelope(&by_hand("add", &json!({ "increment": 7 }), &peer.inbox()?, "the same").to_string());
        peer.send(copy.clone()).await?;
        peer.send(copy.clone()).await?;
        assert_eq!(peer.reply().await?.result.as_str(), "7");
        peer.send(copy).await?;
        let sum: i64 = group.client.call(&Context::new(), "add", &json!({"increment": 1})).await?;
        assert_eq!(sum, 8, "the copies ran once, at_least_once: {at_least_once}");
        peer.reading.quiet().await?;
        group.stop().await?;
    }
    Ok(())
}

/// The method takes `Payload`, so the text of a number passes unchanged and no float is involved.
async fn what_only_python_writes_is_read(stage: &Stage) -> Outcome {
    let (bus, mut peer) = (stage.bus().await?, Peer::caller(stage).await?);
    let echo = async |_: Arc<()>, _: Context, mut args: HashMap<String, Payload>| {
        Ok::<_, Infallible>(args.remove("value").unwrap_or_default())
    };
    let endpoint = Endpoint::new(()).method("echo", echo);
    let server = RpcServer::builder(&bus, target(stage).server("a")).endpoint(endpoint).start(stage.soon()).await?;
    for (sent, came) in [
        ("[NaN, -Infinity, Infinity]", "[null,null,null]"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        (r#""a\ud800b""#, "\"a\u{fffd}b\""),
        (r#"{"deep": [1e400, "\udc00", NaN]}"#, "{\"deep\":[1e400,\"\u{fffd}\",null]}"),
    ] {
        let head = format!(r#"{{"method": "echo", "_msg_id": "1", "_reply_q": "{}""#, peer.inbox()?);
        peer.send(envelope(&format!(r#"{head}, "args": {{"value": {sent}}}}}"#))).await?;
        let reply = peer.reply().await?;
        assert_eq!(reply.result.as_str().replace(", ", ",").replace(": ", ":"), came, "{:?}", reply.failure);
    }
    Ok(server.shutdown(stage.soon()).await?)
}

/// Tests zlib and bzip2. The body has 30,000 bytes, and is not ASCII.
async fn a_compressed_one_is_answered(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a"]).await?;
    let text = "\u{e4} ".repeat(10_000);
    for compression in [Compression::Zlib, Compression::Bzip2] {
        let bus = Bus::builder(stage.connect().await?).compression(compression).build();
        let client = RpcClient::new(&bus, target(stage)).timeout(stage.budget().arrive);
        let back: String = client.call(&Context::new(), "echo", &json!({ "value": text })).await?;
        assert!(back == text, "{compression:?}: {} bytes came", back.len());
        bus.close(stage.soon()).await?;
    }
    group.stop().await
}

/// One hundred casts with the default concurrency: they may overlap, but must start in order.
async fn casts_start_in_the_order_in_which_they_were_sent(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a"]).await?;
    for n in 0..100 {
        group.client.cast(&Context::new(), "add", &json!({ "increment": n })).await?;
    }
    group.recorder.wait(100).await?;
    assert_eq!(group.recorder.at("a"), (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
    group.stop().await
}
