//! How a server starts, stops and starts again.

use std::sync::Arc;

use oslo_messaging::{Bus, Context, Deadline, ErrorKind, RpcServer, Target};
use oslo_messaging_fake::FakeBroker;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::common::{Shop, builder, bus_server_and_shop, secs, soon};
use crate::support::client;

#[tokio::test(start_paused = true)]
async fn a_server_without_a_topic_or_a_name_does_not_start() {
    let bus = Bus::new(FakeBroker::new().transport());
    for target in [Target::default().server("s1"), Target::topic("shop")] {
        let error = RpcServer::builder(&bus, target).start(soon()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidTarget);
    }
}

#[tokio::test(start_paused = true)]
async fn stop_is_idempotent_and_wait_sees_running_methods_out() {
    let (bus, server, shop) = bus_server_and_shop(&FakeBroker::new()).await;
    let caller = client(&bus);
    let context = Context::new();
    let args = json!({"arg": 1});
    let call = caller.call::<Value>(&context, "gated", &args);
    let stopping = async {
        shop.entered(1).await;
        let (one, two) = tokio::join!(server.stop(soon()), server.stop(soon()));
        one.unwrap();
        two.unwrap();
        shop.release.add_permits(1);
        server.shutdown(soon()).await
    };
    let (answered, ended) = tokio::join!(call, stopping);
    assert_eq!(answered.unwrap(), json!(1));
    ended.unwrap();
}

#[tokio::test(start_paused = true)]
async fn wait_gives_up_at_its_deadline_and_aborts_what_still_runs() {
    let broker = FakeBroker::new();
    let (bus, server, shop) = bus_server_and_shop(&broker).await;
    client(&bus).cast(&Context::new(), "hang", &()).await.unwrap();
    shop.entered(1).await;
    let started = Instant::now();
    let error = server.shutdown(Deadline::after(secs(3))).await.unwrap_err();
    assert_eq!((error.kind(), started.elapsed().as_secs()), (ErrorKind::Timeout, 3));
}

#[tokio::test(start_paused = true)]
async fn a_server_starts_again_from_its_builder() {
    let bus = Bus::new(FakeBroker::new().transport());
    let shop = Arc::new(Shop::default());
    let settings = builder(&bus, &shop);
    for round in 0..3 {
        let server = settings.clone().start(soon()).await.unwrap();
        let _: Value = client(&bus).call(&Context::new(), "note", &json!({ "arg": round })).await.unwrap();
        server.shutdown(soon()).await.unwrap();
    }
    assert_eq!(shop.logged(), [json!(0), json!(1), json!(2)]);
}

#[tokio::test(start_paused = true)]
async fn a_server_waits_for_a_broker_that_is_on_its_way_back() {
    let bus = Bus::new(crate::common::late::Late::to(&FakeBroker::new()));
    let server = builder(&bus, &Arc::new(Shop::default())).start(soon()).await.unwrap();
    server.shutdown(soon()).await.unwrap();
}
