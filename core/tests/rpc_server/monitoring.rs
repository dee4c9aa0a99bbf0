//! What the callers of monitored calls hear.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Bus, Context};
use oslo_messaging_fake::FakeBroker;
use serde_json::{Value, json};

use crate::common::{Shop, builder, bus_and_server, secs, soon};
use crate::support::client;

#[tokio::test(start_paused = true)]
async fn a_monitored_call_of_an_unknown_method_leaves_no_heartbeat_behind() {
    let broker = FakeBroker::new();
    let (bus, server) = bus_and_server(&broker).await;
    let monitored = client(&bus).monitor(secs(2));
    let error = monitored.call::<()>(&Context::new(), "missing", &()).await.unwrap_err();
    assert_eq!(error.remote().unwrap().class(), "NoSuchMethod");
    let published = broker.counters().published;
    tokio::time::advance(secs(60)).await;
    let _: Value = client(&bus).call(&Context::new(), "echo", &json!({"arg": 1})).await.unwrap();
    assert_eq!(broker.counters().published - published, 2, "the request and the reply of the last call, nothing else");
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_monitored_call_is_heard_of_while_it_waits_in_the_reserve() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).concurrency(1).reserve(8).start(soon()).await.unwrap();
    client(&bus).cast(&Context::new(), "gated", &json!({"arg": "first"})).await.unwrap();
    shop.entered(1).await;
    let patient = client(&bus).timeout(secs(600)).monitor(secs(4));
    let context = Context::new();
    let args = json!({"arg": "second"});
    let answer = patient.call::<Value>(&context, "gated", &args);
    let releasing = async {
        // Just before a heartbeat, so that the silence at the start of the method is as long as it can be.
        tokio::time::sleep(Duration::from_millis(61_900)).await;
        shop.release.add_permits(1);
        tokio::time::sleep(secs(20)).await;
        shop.release.add_permits(1);
    };
    let (answered, ()) = tokio::join!(answer, releasing);
    assert_eq!(answered.unwrap(), json!("second"));
    let published = broker.counters().published;
    tokio::time::advance(secs(60)).await;
    let _: Value = client(&bus).call(&Context::new(), "echo", &json!({"arg": 1})).await.unwrap();
    assert_eq!(broker.counters().published - published, 2, "no heartbeat outlives the answer");
    server.shutdown(soon()).await.unwrap();
}
