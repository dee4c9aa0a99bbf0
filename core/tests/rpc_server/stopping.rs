//! What an orderly stop takes over, gives back, drops and answers.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Bus, Context, Deadline, ErrorKind, Executed};
use oslo_messaging_fake::FakeBroker;
use serde_json::{Value, json};

use crate::common::{Shop, builder, secs, soon};
use crate::support::client;

#[tokio::test(start_paused = true)]
async fn what_a_stopped_server_had_not_acknowledged_is_left_to_the_next() {
    let broker = FakeBroker::new();
    let (bus, other) = (Bus::new(broker.transport()), Bus::new(broker.transport()));
    let (first, second) = (Arc::new(Shop::default()), Arc::new(Shop::default()));
    let server = builder(&bus, &first).concurrency(64).start(soon()).await.unwrap();
    for number in 0..500 {
        client(&other).cast(&Context::new(), "gated", &json!({ "arg": number })).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = first.logged().len();
    let reserve = 16;
    assert_eq!(begun, 64);
    server.shutdown(Deadline::after(Duration::from_millis(100))).await.unwrap_err();

    second.release.add_permits(1_000);
    let next = builder(&other, &second).start(soon()).await.unwrap();
    let _: Value = client(&other).call(&Context::new(), "gated", &json!({"arg": "fence"})).await.unwrap();
    next.shutdown(soon()).await.unwrap();
    let all = 500 + 1;
    assert_eq!(second.logged().len(), all - begun - reserve, "only what had begun or was acknowledged is missing");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_stopping_server_drops_is_answered_and_did_not_run() {
    let broker = FakeBroker::new();
    let (bus, other) = (Bus::new(broker.transport()), Bus::new(broker.transport()));
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).concurrency(1).reserve(8).start(soon()).await.unwrap();
    client(&other).cast(&Context::new(), "hang", &()).await.unwrap();
    shop.entered(1).await;
    let (caller, context, args) = (client(&other).timeout(secs(600)), Context::new(), json!({"arg": 1}));
    let call = caller.call::<Value>(&context, "note", &args);
    let stopping = async {
        tokio::time::sleep(secs(1)).await;
        server.shutdown(Deadline::after(secs(10))).await
    };
    let (answered, stopped) = tokio::join!(call, stopping);
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Timeout);
    let error = answered.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Remote, Executed::No), "{error}");
    assert!(error.to_string().contains("stopped before the request began"), "{error}");
    assert!(shop.logged().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_method_that_passes_on_a_refusal_does_not_claim_that_it_did_not_run_itself() {
    use oslo_messaging::{Endpoint, Error, RpcClient, RpcServer, Target};
    let broker = FakeBroker::new();
    let (bus, other) = (Bus::new(broker.transport()), Bus::new(broker.transport()));
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).concurrency(1).reserve(8).start(soon()).await.unwrap();
    client(&other).cast(&Context::new(), "hang", &()).await.unwrap();
    shop.entered(1).await;
    let inner = client(&other).timeout(secs(600));
    let relay = Endpoint::new(inner).method("relay", async |inner: Arc<RpcClient>, context: Context, (): ()| {
        inner.call::<Value>(&context, "note", &json!({"arg": 1})).await.map_err(|error: Error| error)
    });
    let desk =
        RpcServer::builder(&other, Target::topic("desk").server("d")).endpoint(relay).start(soon()).await.unwrap();
    let (caller, context) = (RpcClient::new(&other, Target::topic("desk")).timeout(secs(600)), Context::new());
    let stopping = async {
        tokio::time::sleep(secs(1)).await;
        server.shutdown(Deadline::after(secs(10))).await
    };
    let (answered, _) = tokio::join!(caller.call::<Value>(&context, "relay", &()), stopping);
    let error = answered.unwrap_err();
    assert_eq!((error.remote().unwrap().class(), error.executed()), ("RequestNotRun", Executed::Maybe), "{error}");
    desk.shutdown(soon()).await.unwrap();
}
