//! What a server writes to the log of requests that it drops, skips or refuses, and of methods that keep it from others.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod common;
#[path = "notifier_log/log.rs"]
mod log;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use common::{Shop, builder, secs, soon};
use log::{Line, capture};
use oslo_messaging::driver::{Address, Message, PublishOptions, Transport as _};
use oslo_messaging::{Bus, Context, Deadline, Endpoint, Payload, RpcClient, Target, wire};
use oslo_messaging_fake::FakeBroker;
use serde_json::{Value, json};
use tracing::Level;

fn client(bus: &Bus) -> RpcClient {
    RpcClient::new(bus, Target::topic("shop"))
}

fn about<'a>(lines: &'a [Line], text: &str) -> Vec<&'a Line> {
    lines.iter().filter(|line| line.message.contains(text)).collect()
}

/// Sends 100 casts whose deadline lies `behind` seconds back.
async fn stale_casts(broker: &FakeBroker, behind: u64) {
    let now = u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let shop = Address::Topic { exchange: "openstack".into(), topic: "shop".into() };
    for number in 0..100 {
        let mut request = wire::Request::new("note", Payload::encode(&json!({"arg": number})).unwrap());
        (request.unique_id, request.deadline) = (format!("u{number}"), Some(now - behind * 1_000));
        let options = PublishOptions::by(soon()).mandatory();
        broker.transport().publish(&shop, Message::new(request.encode()), &options).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_skipped_for_their_deadline_are_one_warning_with_the_difference() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let shop = Arc::new(Shop::default());
    let (log, _guard) = capture();
    let server = builder(&bus, &shop).start(soon()).await.unwrap();
    stale_casts(&broker, 6).await;
    let _: Value = client(&bus).call(&Context::new(), "echo", &json!({"arg": 1})).await.unwrap();
    assert!(shop.logged().is_empty());
    let warnings = log.warnings();
    let skipped = about(&warnings, "its deadline has passed");
    assert_eq!(skipped.len(), 1, "{warnings:?}");
    // The server reads the clock of the machine a little after the cast was written.
    let text = skipped[0].fields.split_once("passed=").and_then(|(_, rest)| rest.split_once('s'));
    let passed: f64 = text.and_then(|(seconds, _)| seconds.parse().ok()).expect("the warning says how long ago");
    assert!((5.5..36.0).contains(&passed) && skipped[0].fields.contains("note"), "{skipped:?}");
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn requests_that_a_stop_drops_are_one_warning_with_their_number() {
    let broker = FakeBroker::new();
    let (bus, other) = (Bus::new(broker.transport()), Bus::new(broker.transport()));
    let (log, _guard) = capture();
    let server = builder(&bus, &Arc::new(Shop::default())).concurrency(8).reserve(4).start(soon()).await.unwrap();
    for _ in 0..100 {
        client(&other).cast(&Context::new(), "hang", &()).await.unwrap();
    }
    tokio::time::sleep(secs(1)).await;
    server.shutdown(Deadline::after(secs(1))).await.unwrap_err();
    let warnings = log.warnings();
    let dropped = about(&warnings, "they are dropped");
    assert_eq!(dropped.len(), 1, "{warnings:?}");
    assert!(dropped[0].fields.contains("requests=4") && dropped[0].fields.contains("shop"), "{dropped:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_for_what_a_server_has_not_is_a_warning_that_names_what_it_has() {
    let bus = Bus::new(FakeBroker::new().transport());
    let server = builder(&bus, &Arc::new(Shop::default())).start(soon()).await.unwrap();
    let caller = client(&bus);
    let arg = json!({"arg": 1});
    let cases = [
        (
            caller.clone().namespace("other"),
            "note",
            arg.clone(),
            "no endpoint has the namespace",
            "namespace=other",
            "(none) 1.5",
        ),
        (caller.clone().version("7.0"), "note", arg.clone(), "serves the version", "version=7.0", "(none) 1.5"),
        (caller.clone(), "missing", arg, "has the method", "method=missing", "note, panic"),
        (caller, "note", json!({"other": 1}), "its arguments do not fit", "note", "other"),
    ];
    for (caller, method, args, says, asked, offered) in cases {
        // Each kind has its own minute.
        tokio::time::advance(secs(60)).await;
        let (log, _guard) = capture();
        for _ in 0..20 {
            caller.call::<Value>(&Context::new(), method, &args).await.unwrap_err();
        }
        let warnings = log.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let Line { level, message, fields, .. } = &warnings[0];
        assert_eq!(*level, Level::WARN);
        assert!(message.contains(says) && fields.contains(asked) && fields.contains(offered), "{warnings:?}");
    }
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn methods_that_block_or_run_long_and_handlers_that_are_all_busy_are_warnings_unless_they_are_turned_off() {
    for watched in [true, false] {
        let bus = Bus::new(FakeBroker::new().transport());
        let (log, _guard) = capture();
        let blocking = Endpoint::new(()).method("block", async |_: Arc<()>, _: Context, (): ()| {
            std::thread::sleep(Duration::from_millis(20));
            Ok::<_, Infallible>(())
        });
        let settings = builder(&bus, &Arc::new(Shop::default())).endpoint(blocking).concurrency(1).reserve(0);
        let settings = if watched {
            settings.warn_of_blocking_after(Duration::from_millis(20))
        } else {
            settings.warn_of_blocking_after(None).warn_of_long_methods_after(None).warn_of_saturation_after(None)
        };
        let server = settings.start(soon()).await.unwrap();
        client(&bus).call::<()>(&Context::new(), "block", &()).await.unwrap();
        client(&bus).cast(&Context::new(), "sleep", &json!({"secs": 1_000})).await.unwrap();
        tokio::time::sleep(secs(900)).await;
        let warnings = log.warnings();
        let count = |text: &str| about(&warnings, text).len();
        let expected = if watched { (1, 2, 1) } else { (0, 0, 0) };
        assert_eq!((count("blocked the task"), count("runs for long"), count("is busy")), expected, "{warnings:?}");
        server.shutdown(Deadline::after(secs(600))).await.unwrap();
    }
}
