//! Panics of the application's code, each of which costs one request.

use std::convert::Infallible;
use std::sync::Arc;

use oslo_messaging::rpc::RpcServerBuilder;
use oslo_messaging::{Bus, Context, Endpoint, Executed, Failure, Payload, Serializer};
use oslo_messaging_fake::FakeBroker;
use serde_json::{Value, json};

use crate::common::explosive::{Bad, BadFuture, explode};
use crate::common::{Shop, builder, soon};
use crate::support::client;

/// Methods that panic, each in its own place.
fn panicking() -> Endpoint<()> {
    Endpoint::new(())
        .version("1.5")
        .method("made", |_: Arc<()>, _: Context, (): ()| -> BadFuture { explode() })
        .method("first poll", async |_: Arc<()>, _: Context, (): ()| -> Result<(), Infallible> { explode() })
        .method("later", async |_: Arc<()>, _: Context, (): ()| -> Result<(), Infallible> {
            tokio::task::yield_now().await;
            explode()
        })
        .method("dropped", |_: Arc<()>, _: Context, (): ()| BadFuture::default())
        .method("arguments", async |_: Arc<()>, _: Context, _: Bad| Ok::<_, Infallible>(()))
        .method("result", async |_: Arc<()>, _: Context, (): ()| Ok::<_, Infallible>(Bad))
        .method("error", async |_: Arc<()>, _: Context, (): ()| Err::<(), _>(Bad))
        .method("error's text", async |_: Arc<()>, _: Context, (): ()| Err::<(), _>(Failure::internal(Bad)))
}

/// Starts the server, makes each of the calls fail, and sees it answer after each.
async fn survives(bus: &Bus, server: RpcServerBuilder, methods: &[&str]) {
    for settle in ["before handover", "after the answer"] {
        let server = if settle == "before handover" { server.clone() } else { server.clone().at_least_once() };
        let server = server.start(soon()).await.unwrap();
        for method in methods {
            let error = client(bus).call::<Value>(&Context::new(), method, &json!({})).await.unwrap_err();
            let remote = error.remote().unwrap_or_else(|| panic!("{method}, {settle}: {error}"));
            assert!(remote.message().contains("panic"), "{method}, {settle}: {error}");
            let answer: Value = client(bus).call(&Context::new(), "echo", &json!({"arg": 1})).await.unwrap();
            assert_eq!(answer, json!(1), "after {method}, {settle}");
        }
        server.shutdown(soon()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_whose_payload_panics_in_its_drop_costs_its_request_alone() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let server = builder(&bus, &Arc::new(Shop::default())).endpoint(panicking());
    let methods = ["made", "first poll", "later", "dropped", "arguments", "result", "error", "error's text"];
    survives(&bus, server, &methods).await;
    bus.close(soon()).await.unwrap();
    broker.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_layer_or_in_the_text_of_its_error_costs_its_request_alone() {
    let bus = Bus::new(FakeBroker::new().transport());
    let server = builder(&bus, &Arc::new(Shop::default()))
        .endpoint(panicking())
        .layer(tower::util::MapRequestLayer::new(
            |request: oslo_messaging::rpc::Request| {
                if request.method == "layer" { explode() } else { request }
            },
        ))
        .layer(tower::util::MapResultLayer::new(|reply: Result<oslo_messaging::rpc::Reply, Infallible>| {
            let reply = reply.unwrap_or_else(|never| match never {});
            if reply.outcome.as_ref().is_err_and(|failure| failure.class() == "NoSuchMethod") {
                Err(Bad)
            } else {
                Ok(reply)
            }
        }));
    survives(&bus, server, &["layer", "no such method", "first poll"]).await;
}

/// Panics for arguments of the method that it is given.
#[derive(Debug)]
struct Picky;

impl Serializer for Picky {
    fn serialize(&self, _: &Context, value: Payload) -> oslo_messaging::Result<Payload> {
        if value.is_null() { explode() } else { Ok(value) }
    }

    fn deserialize(&self, _: &Context, value: Payload) -> oslo_messaging::Result<Payload> {
        if value.is_null() { explode() } else { Ok(value) }
    }

    fn serialize_context(&self, context: &Context) -> oslo_messaging::Result<Context> {
        Ok(context.clone())
    }

    fn deserialize_context(&self, context: &Context) -> oslo_messaging::Result<Context> {
        if context.get::<bool>("bad").is_some() { explode() } else { Ok(context.clone()) }
    }
}

#[tokio::test(start_paused = true)]
async fn a_serializer_that_panics_with_such_a_payload_costs_its_request_alone() {
    let bus = Bus::new(FakeBroker::new().transport());
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).serializer(Picky).start(soon()).await.unwrap();
    let bad = Context::new().with("bad", true);
    for (context, method, args) in [
        (&Context::new(), "echo", json!({"arg": null})),
        (&bad, "echo", json!({"arg": 1})),
        (&Context::new(), "sleep", json!({"secs": null})),
    ] {
        let error = client(&bus).call::<Value>(context, method, &args).await.unwrap_err();
        assert!(error.remote().is_some() && error.executed() == Executed::Maybe, "{method}: {error}");
        let answer: Value = client(&bus).call(&Context::new(), "echo", &json!({"arg": 1})).await.unwrap();
        assert_eq!(answer, json!(1), "after {method}");
    }
    server.shutdown(soon()).await.unwrap();
}
