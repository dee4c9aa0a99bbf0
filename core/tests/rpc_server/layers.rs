//! What is put around the dispatcher, and what it has of its own.

use std::sync::Arc;

use oslo_messaging::{Bus, Context, Failure};
use oslo_messaging_fake::FakeBroker;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::common::{Shop, builder, secs, soon};
use crate::support::client;

#[tokio::test(start_paused = true)]
async fn ping_answers_on_option_only() {
    let bus = Bus::new(FakeBroker::new().transport());
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).start(soon()).await.unwrap();
    let ping = "oslo_rpc_server_ping";
    let error = client(&bus).call::<String>(&Context::new(), ping, &()).await.unwrap_err();
    assert_eq!(error.remote().unwrap().class(), "NoSuchMethod");
    server.shutdown(soon()).await.unwrap();
    let server = builder(&bus, &shop).ping().start(soon()).await.unwrap();
    assert_eq!(client(&bus).call::<String>(&Context::new(), ping, &()).await.unwrap(), "pong");
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn any_tower_layer_fits_around_the_dispatcher() {
    let bus = Bus::new(FakeBroker::new().transport());
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop)
        .layer(tower::timeout::TimeoutLayer::new(secs(2)))
        .layer(tower::limit::GlobalConcurrencyLimitLayer::new(1))
        .start(soon())
        .await
        .unwrap();
    let started = Instant::now();
    let error = client(&bus).call::<Value>(&Context::new(), "sleep", &json!({"secs": 30})).await.unwrap_err();
    assert_eq!(error.remote().unwrap().class(), "RequestFailed", "{error}");
    assert_eq!(started.elapsed().as_secs(), 2);
    assert_eq!(client(&bus).call::<Value>(&Context::new(), "echo", &json!({"arg": 1})).await.unwrap(), json!(1));
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_failure_given_back_by_a_layer_stays_what_it_is() {
    let bus = Bus::new(FakeBroker::new().transport());
    let shop = Arc::new(Shop::default());
    let deny = tower::util::MapResultLayer::new(|_: Result<_, std::convert::Infallible>| {
        Err(Failure::new("shop.errors", "Closed", "the shop is closed"))
    });
    let server = builder(&bus, &shop).layer(deny).start(soon()).await.unwrap();
    let error = client(&bus).call::<Value>(&Context::new(), "echo", &json!({"arg": 1})).await.unwrap_err();
    assert_eq!(error.remote().unwrap().class(), "Closed");
    server.shutdown(soon()).await.unwrap();
}
