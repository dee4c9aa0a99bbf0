//! Servers: bad requests, serializers, dispatch, concurrency, pings.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Context, Endpoint, ErrorKind, Payload, Result, RpcClient, RpcServer, Serializer, Target};
use serde_json::json;

use super::Group;
use crate::cases::cases;
use crate::{Outcome, Stage};

cases! { rpc_server;
    /// oslo.messaging TestRPCServer.test_client_call_timeout: timeout 0 is a timeout and the server survives.
    it_survives_a_caller_that_gave_up [];
    /// oslo.messaging TestRPCServer.test_cast and test_call: 'foo' is seen as 'dsfoo', and back as 'dsdsfoo'.
    arguments_and_results_pass_the_serializers [];
    /// oslo.messaging TestRPCServer.test_context: the context is serialised
    /// by the caller and deserialised by the server.
    the_context_arrives_and_passes_the_serializers [];
    /// oslo.messaging TestRPCServer.test_failure: an exception in a method reaches the caller; the server goes on.
    an_unexpected_failure_is_an_answer [];
    /// oslo.messaging TestMultipleServers.test_multiple_servers: same or different
    /// exchange, topic and server; call, cast and fanout.
    two_servers_each_hear_what_is_theirs [ServerAddress, Fanout];
    /// oslo.messaging TestDispatcher.test_dispatcher: namespace and version choose the endpoint; otherwise
    /// UnsupportedVersion or NoSuchMethod.
    the_first_endpoint_that_fits_answers [];
    /// oslo.messaging CallTestCase.test_endpoint_version_namespace: 7.5 in
    /// Name1 answers; 7.6 and Name2 are remote errors.
    version_and_namespace_must_fit [ServerAddress];
    /// oslo.messaging TestDispatcher with rpc_ping_enabled: oslo_rpc_server_ping
    /// is answered with pong; without it is no method.
    a_ping_is_answered_only_if_it_is_to_be [];
    /// RpcServerBuilder::concurrency: How many methods run at once.
    it_runs_no_more_methods_than_it_may [];
}

/// The method takes 50 ms; the callers wait for 0 and 10 ms. The third call must get its answer.
async fn it_survives_a_caller_that_gave_up(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a"]).await?;
    let (context, args) = (Context::new(), json!({"ms": 50}));
    for timeout in [Duration::ZERO, Duration::from_millis(10)] {
        let outcome = group.client.prepare().timeout(timeout).call::<u64>(&context, "wait", &args).await;
        let error = outcome.expect_err("it gave up before the method can end");
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    }
    assert_eq!(group.client.call::<u64>(&context, "wait", &args).await?, 50);
    group.stop().await
}

/// Marks what it serialises with `s` and what it deserialises with `d`.
#[derive(Debug)]
struct Marks;

impl Marks {
    /// Puts `mark` before the text of a payload.
    fn mark(mark: &str, value: &Payload) -> Result<Payload> {
        Payload::encode(&format!("{mark}{}", value.decode::<String>()?))
    }

    /// Puts `mark` before the user of a context.
    fn mark_user(mark: &str, context: &Context) -> Context {
        context.with("user", format!("{mark}{}", context.get::<String>("user").unwrap_or_default()))
    }
}

impl Serializer for Marks {
    fn serialize(&self, _: &Context, value: Payload) -> Result<Payload> {
        Self::mark("s", &value)
    }

    fn deserialize(&self, _: &Context, value: Payload) -> Result<Payload> {
        Self::mark("d", &value)
    }

    fn serialize_context(&self, context: &Context) -> Result<Context> {
        Ok(Self::mark_user("s", context))
    }

    fn deserialize_context(&self, context: &Context) -> Result<Context> {
        Ok(Self::mark_user("d", context))
    }
}

/// The marks show the order: serialised by one side (`s`), then deserialised by the other (`d`).
async fn arguments_and_results_pass_the_serializers(stage: &Stage) -> Outcome {
    let target = Target::topic(stage.name("t")).exchange(stage.name("e"));
    let group = Group::with(stage, target, &["a"], |server| server.serializer(Marks)).await?;
    let (client, context) = (group.client.prepare().serializer(Marks), Context::new());
    for text in ["foo", "bar"] {
        client.cast(&context, "append", &json!({"text": text})).await?;
    }
    group.recorder.wait(2).await?;
    let mut seen = group.recorder.at("a");
    seen.sort();
    assert_eq!(seen, ["dsbar", "dsfoo"]);
    assert_eq!(client.call::<String>(&context, "echo", &json!({"value": "foo"})).await?, "dsdsfoo");
    group.stop().await
}

/// The method returns the user that it sees, so the second answer has the marks of both directions.
async fn the_context_arrives_and_passes_the_serializers(stage: &Stage) -> Outcome {
    let target = |name: &str| Target::topic(stage.name(name)).exchange(stage.name("e"));
    let plain = Group::on(stage, target("plain"), &["a"]).await?;
    let context = Context::new().with("user", "alice");
    assert_eq!(plain.client.call::<Option<String>>(&context, "user", &()).await?.as_deref(), Some("alice"));
    assert_eq!(plain.client.call::<Option<String>>(&Context::new(), "user", &()).await?, None);
    let marked = Group::with(stage, target("marked"), &["a"], |server| server.serializer(Marks)).await?;
    let user: String = marked.client.prepare().serializer(Marks).call(&context, "user", &()).await?;
    assert_eq!(user, "dsdsalice");
    plain.stop().await?;
    marked.stop().await
}

/// A panic, an argument of the wrong type and a missing argument. The server must answer a call after each of them.
async fn an_unexpected_failure_is_an_answer(stage: &Stage) -> Outcome {
    let group = Group::start(stage, &["a"]).await?;
    let context = Context::new();
    for (method, args) in [("panic", json!({})), ("add", json!({"increment": "many"})), ("add", json!({}))] {
        let error = group.client.call::<i64>(&context, method, &args).await.expect_err("the method fails");
        assert_eq!(error.kind(), ErrorKind::Remote, "{method} {args}: {error}");
    }
    assert_eq!(group.client.call::<i64>(&context, "add", &json!({"increment": 1})).await?, 1);
    group.stop().await
}

/// Six pairs of servers: another exchange, another topic, another name, and combinations of them.
async fn two_servers_each_hear_what_is_theirs(stage: &Stage) -> Outcome {
    // Fanout reaches every server of a topic, whatever its exchange; nothing else crosses.
    let (crossing, apart) = ([["1", "1", "1", "2"], ["1", "2", "2", "2"]], [["1", "1", "1"], ["2", "2", "2"]]);
    beside(stage, "1", ("x", "t", "b"), crossing.each_ref().map(|heard| &heard[..])).await?;
    beside(stage, "2", ("y", "t", "b"), crossing.each_ref().map(|heard| &heard[..])).await?;
    for (run, other) in [("3", ("x", "u", "a")), ("4", ("y", "u", "a")), ("5", ("x", "u", "b")), ("6", ("y", "u", "b"))]
    {
        beside(stage, run, other, apart.each_ref().map(|heard| &heard[..])).await?;
    }
    Ok(())
}

/// Server `a` of topic `t` in exchange `x` beside the one that `other` names: each is called, cast to and fanned out
/// to, the first one with `1`, the other one with `2`.
async fn beside(stage: &Stage, run: &str, other: (&str, &str, &str), heard: [&[&str]; 2]) -> Outcome {
    let target =
        |exchange: &str, topic: &str| Target::topic(stage.name(topic) + run).exchange(stage.name(exchange) + run);
    let one = Group::on(stage, target("x", "t"), &["a"]).await?;
    let two = Group::on(stage, target(other.0, other.1), &[other.2]).await?;
    let servers = [(&one, "a"), (&two, other.2)];
    for ((group, server), mark) in servers.into_iter().zip(["1", "2"]) {
        let (client, context, args) = (group.client.prepare().server(server), Context::new(), json!({"text": mark}));
        client.call::<String>(&context, "append", &args).await?;
        client.cast(&context, "append", &args).await?;
        client.fanout().cast(&context, "append", &args).await?;
    }
    for ((group, server), expected) in servers.into_iter().zip(heard) {
        group.recorder.wait(expected.len()).await?;
        group.recorder.quiet().await?;
        let mut heard = group.recorder.at(server);
        heard.sort();
        assert_eq!(heard, expected, "{server} beside {other:?}");
    }
    one.stop().await?;
    two.stop().await
}

/// An endpoint whose method `foo` returns `name`, so that an answer shows which endpoint was chosen.
fn named(name: &'static str) -> Endpoint<&'static str> {
    Endpoint::new(name).method("foo", async |name: Arc<&'static str>, _: Context, (): ()| Ok::<_, Infallible>(*name))
}

/// What the endpoints answer to `method` in `namespace` at `version`: the endpoint's name, or the class of the failure.
async fn asked(client: &RpcClient, namespace: Option<&str>, version: Option<&str>, method: &str) -> Result<String> {
    let client = namespace.map_or(client.clone(), |namespace| client.clone().namespace(namespace));
    let client = version.map_or(client.clone(), |version| client.clone().version(version));
    match client.call(&Context::new(), method, &()).await {
        Err(error) if error.remote().is_some() => Ok(error.remote().map_or("", |remote| remote.class()).to_owned()),
        outcome => outcome,
    }
}

/// Four endpoints differ in namespace and version; two of them also answer to legacy names.
/// A missing endpoint is `UnsupportedVersion`, a missing method of an endpoint that fits is `NoSuchMethod`.
async fn the_first_endpoint_that_fits_answers(stage: &Stage) -> Outcome {
    let (bus, target) = (stage.bus().await?, Target::topic(stage.name("t")).exchange(stage.name("e")));
    let server = RpcServer::builder(&bus, target.clone().server("a"))
        .endpoint(named("1.5").version("1.5"))
        .endpoint(named("3.4").version("3.4"))
        .endpoint(named("ns").namespace("ns").legacy_namespace("was"))
        .endpoint(named("old").namespace("named").legacy_default_namespace().version("4.0"));
    let server = server.start(stage.soon()).await?;
    let client = RpcClient::new(&stage.bus().await?, target).timeout(stage.budget().arrive);
    for (namespace, version, method, answer) in [
        (None, None, "foo", "1.5"),
        (None, Some("3.2"), "foo", "3.4"),
        (None, Some("3.5"), "foo", "UnsupportedVersion"),
        (None, Some("2.0"), "foo", "UnsupportedVersion"),
        (None, None, "_private", "NoSuchMethod"),
        (Some("ns"), None, "foo", "ns"),
        (Some("was"), None, "foo", "ns"),
        (Some("ns"), Some("1.1"), "foo", "UnsupportedVersion"),
        (Some("ns"), None, "bar", "NoSuchMethod"),
        (Some("other"), None, "foo", "UnsupportedVersion"),
        (None, Some("4.0"), "foo", "old"),
    ] {
        let answered = asked(&client, namespace, version, method).await?;
        assert_eq!(answered, answer, "{namespace:?} {version:?} {method}");
    }
    Ok(server.shutdown(stage.soon()).await?)
}

/// The remote error must arrive with its class, not as a timeout.
async fn version_and_namespace_must_fit(stage: &Stage) -> Outcome {
    let (bus, target) = (stage.bus().await?, Target::topic(stage.name("t")).exchange(stage.name("e")));
    let server = RpcServer::builder(&bus, target.clone().server("a"))
        .endpoint(named("Hi there").namespace("Name1").version("7.5"))
        .start(stage.soon())
        .await?;
    let client = RpcClient::new(&stage.bus().await?, target.server("a")).timeout(stage.budget().arrive);
    assert_eq!(asked(&client, Some("Name1"), Some("7.5"), "foo").await?, "Hi there");
    assert_eq!(asked(&client, Some("Name1"), Some("7.6"), "foo").await?, "UnsupportedVersion");
    assert_eq!(asked(&client, Some("Name2"), Some("7.5"), "foo").await?, "UnsupportedVersion");
    Ok(server.shutdown(stage.soon()).await?)
}

/// Without `RpcServerBuilder::ping` the method must be unknown.
async fn a_ping_is_answered_only_if_it_is_to_be(stage: &Stage) -> Outcome {
    let target = |name: &str| Target::topic(stage.name(name)).exchange(stage.name("e"));
    for (name, answer) in [("quiet", "NoSuchMethod"), ("pinged", "pong")] {
        let group =
            Group::with(stage, target(name), &["a"], |server| if name == "pinged" { server.ping() } else { server });
        let group = group.await?;
        assert_eq!(asked(&group.client, None, None, "oslo_rpc_server_ping").await?, answer);
        group.stop().await?;
    }
    Ok(())
}

/// Six casts at a concurrency of three. Each method records its begin and its end, twelve entries in all.
async fn it_runs_no_more_methods_than_it_may(stage: &Stage) -> Outcome {
    let target = Target::topic(stage.name("t")).exchange(stage.name("e"));
    let group = Group::with(stage, target, &["a"], |server| server.concurrency(3)).await?;
    for _ in 0..6 {
        group.client.cast(&Context::new(), "hold", &()).await?;
    }
    group.recorder.wait(3).await?;
    assert_eq!(group.recorder.quiet().await?.len(), 3, "three began, and three wait");
    group.gate.add_permits(1);
    group.recorder.wait(5).await?;
    assert_eq!(group.recorder.quiet().await?.len(), 5, "one ended, and one took its place");
    group.gate.add_permits(5);
    group.recorder.wait(12).await?;
    group.stop().await
}
