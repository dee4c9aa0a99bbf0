//! Log records that are published as events.

use std::time::Duration;

use oslo_messaging::notify::{LogRecordLayer, OutboxConfig, RecordingSink};
use oslo_messaging::{Deadline, Notifier};
use serde_json::{Value, json};
use tracing::{debug, error, info, info_span, trace, warn};
use tracing_subscriber::layer::SubscriberExt as _;

/// What a program that logs with `log` publishes: the priority, the type, and the payload.
async fn published(log: impl FnOnce()) -> Vec<(&'static str, String, Value)> {
    let sink = RecordingSink::new();
    let background = Notifier::from_sink("shop.host-1", sink.clone()).background(OutboxConfig::default());
    let subscriber = tracing_subscriber::registry().with(LogRecordLayer::new(background.clone()));
    tracing::subscriber::with_default(subscriber, log);
    assert_eq!(background.close(Deadline::after(Duration::from_secs(5))).await, 0, "nothing is left in the outbox");
    let event = |event: oslo_messaging::notify::OutgoingEvent| {
        (event.priority.as_str(), event.event_type.clone(), event.payload.decode().unwrap())
    };
    sink.recorded().into_iter().map(event).collect()
}

#[tokio::test]
async fn each_level_has_its_priority_and_trace_is_dropped() {
    let events = published(|| {
        error!("e");
        warn!("w");
        info!("i");
        debug!("d");
        trace!("t");
    });
    let events = events.await;
    let seen: Vec<_> = events.iter().map(|(priority, _, payload)| (*priority, payload["msg"].clone())).collect();
    assert_eq!(seen, [("error", json!("e")), ("warn", json!("w")), ("info", json!("i")), ("debug", json!("d"))]);
    assert!(events.iter().all(|(_, event_type, _)| event_type == "logrecord"));
}

#[tokio::test]
async fn a_record_has_the_twelve_keys_of_the_reference() {
    let events = published(|| {
        let _span = info_span!("rebuild").entered();
        warn!(target: "nova.compute", instance = "i-1", tries = 3, ok = false, "it {} again", "failed");
    });
    let (_, _, payload) = events.await.remove(0);
    let keys: Vec<_> = payload.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "exc_info",
        "extra",
        "funcName",
        "levelname",
        "levelno",
        "lineno",
        "msg",
        "name",
        "pathname",
        "process",
        "processName",
        "thread",
    ];
    expected.sort_unstable();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    for (key, value) in [
        ("name", json!("nova.compute")),
        ("levelno", json!(30)),
        ("levelname", json!("WARNING")),
        ("msg", json!("it failed again")),
        ("funcName", json!("rebuild")),
        ("process", json!(std::process::id())),
        ("exc_info", Value::Null),
        ("extra", json!({"instance": "i-1", "tries": 3, "ok": false})),
    ] {
        assert_eq!(payload[key], value, "{key}");
    }
    assert!(payload["pathname"].as_str().unwrap().ends_with("log_layer.rs"));
    assert!(payload["lineno"].is_u64() && payload["thread"].is_u64());
}

#[tokio::test]
async fn what_publishing_itself_logs_is_not_published() {
    let events = published(|| {
        warn!(target: "oslo_messaging::notify", "an event was lost");
        warn!(target: "lapin::channels", "a frame was lost");
        warn!("mine");
    });
    assert_eq!(events.await.len(), 1);
}
