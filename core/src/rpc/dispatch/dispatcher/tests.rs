//! The sixteen dispatch cases of the reference, as far as typed endpoints can show them.

use std::convert::Infallible;

use super::*;
use crate::{Context as RpcContext, Payload};

fn endpoint(name: &'static str) -> Endpoint<()> {
    Endpoint::new(()).method("foo", move |_: Arc<()>, _: RpcContext, (): ()| async move { Ok::<_, Infallible>(name) })
}

fn request(namespace: Option<&str>, version: Option<&str>, method: &str) -> Request {
    Request::new(RpcContext::new(), method, Payload::arguments(&()).unwrap())
        .with_namespace(namespace.map(str::to_owned))
        .with_version(version.map(str::to_owned))
}

async fn outcome(dispatcher: RpcDispatcher, request: Request) -> Result<String, String> {
    let mut dispatcher = dispatcher;
    let Ok(reply) = dispatcher.call(request).await;
    reply.outcome.map(|payload| payload.decode().unwrap()).map_err(|failure| failure.class().to_owned())
}

#[tokio::test]
async fn requests_go_to_the_first_endpoint_that_fits() {
    let two = || RpcDispatcher::new().endpoint(endpoint("old").version("1.5")).endpoint(endpoint("new").version("3.4"));
    let named = || RpcDispatcher::new().endpoint(endpoint("it").namespace("ns"));
    let legacy = || RpcDispatcher::new().endpoint(endpoint("it").namespace("ns").legacy_namespace("was"));
    let unnamed = || RpcDispatcher::new().endpoint(endpoint("it").namespace("ns").legacy_default_namespace());
    let unsupported = || Err("UnsupportedVersion".to_owned());
    let cases: Vec<(RpcDispatcher, Request, Result<String, String>)> = vec![
        (RpcDispatcher::new(), request(None, None, "foo"), unsupported()),
        (RpcDispatcher::new().endpoint(endpoint("it")), request(None, None, "foo"), Ok("it".into())),
        (RpcDispatcher::new().endpoint(endpoint("it")), request(None, Some("1.0"), "foo"), Ok("it".into())),
        (RpcDispatcher::new().endpoint(endpoint("it")), request(None, None, "bar"), Err("NoSuchMethod".into())),
        (RpcDispatcher::new().endpoint(endpoint("it")), request(Some("ns"), None, "foo"), unsupported()),
        (RpcDispatcher::new().endpoint(endpoint("it")), request(None, Some("not a version"), "foo"), unsupported()),
        (named(), request(Some("ns"), None, "foo"), Ok("it".into())),
        (named(), request(None, None, "foo"), unsupported()),
        (two(), request(None, Some("1.4"), "foo"), Ok("old".into())),
        (two(), request(None, Some("3.1"), "foo"), Ok("new".into())),
        (two(), request(None, Some("3.5"), "foo"), unsupported()),
        (two(), request(None, Some("2.0"), "foo"), unsupported()),
        (legacy(), request(Some("was"), None, "foo"), Ok("it".into())),
        (legacy(), request(Some("other"), None, "foo"), unsupported()),
        (unnamed(), request(None, None, "foo"), Ok("it".into())),
        (unnamed(), request(Some("ns"), None, "foo"), Ok("it".into())),
    ];
    for (index, (dispatcher, request, expected)) in cases.into_iter().enumerate() {
        assert_eq!(outcome(dispatcher, request).await, expected, "case {index}");
    }
}

#[tokio::test]
async fn a_method_of_the_next_endpoint_is_found_when_the_first_lacks_it() {
    let second =
        Endpoint::new(()).method("bar", async |_: Arc<()>, _: RpcContext, (): ()| Ok::<_, Infallible>("second"));
    let dispatcher = RpcDispatcher::new().endpoint(endpoint("first")).endpoint(second);
    assert_eq!(outcome(dispatcher, request(None, None, "bar")).await, Ok("second".into()));
}

#[tokio::test]
async fn ping_answers_pong_unless_the_application_has_its_own() {
    let ping = || request(None, None, "oslo_rpc_server_ping");
    assert_eq!(outcome(RpcDispatcher::new().ping(), ping()).await, Ok("pong".into()));
    let own = Endpoint::new(())
        .method("oslo_rpc_server_ping", async |_: Arc<()>, _: RpcContext, (): ()| Ok::<_, Infallible>("mine"));
    assert_eq!(outcome(RpcDispatcher::new().endpoint(own).ping(), ping()).await, Ok("mine".into()));
}

#[tokio::test]
async fn wrong_arguments_are_the_callers_type_error() {
    let add = Endpoint::new(())
        .method("add", async |_: Arc<()>, _: RpcContext, (a, b): (u32, u32)| Ok::<_, Infallible>(a + b));
    let result = outcome(RpcDispatcher::new().endpoint(add), request(None, None, "add")).await;
    assert_eq!(result, Err("TypeError".into()));
}
