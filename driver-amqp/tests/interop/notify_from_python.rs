//! Events from Python to Rust.

use std::sync::Arc;

use oslo_messaging::Priority;
use serde_json::json;

use crate::budget::soon;
use crate::ear::{payloads, started};
use crate::setting::Setting;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(rust_hears_every_priority_in_either_format),
    test!(rust_hears_a_request_context_as_python_redacted_it),
    test!(rust_hears_nothing_of_a_plain_dictionary),
    test!(rust_hears_what_python_compressed),
    test!(rust_handles_later_what_python_notified_before),
    test!(rust_hears_what_python_logs),
];

const DRIVERS: [&str; 2] = ["messaging", "messagingv2"];

async fn rust_hears_every_priority_in_either_format(setting: Arc<Setting>) {
    let (bus, peer) = (setting.bus().await, setting.peer().await);
    for driver in DRIVERS {
        let topic = setting.unique("events");
        let (listener, mut heard) = started(&bus, &topic).await;
        let priorities = Priority::ALL.map(Priority::as_str);
        let payload = json!({"text": "grün\u{1f600}\n", "big": 18_446_744_073_709_551_615_u64, "none": null});
        peer.ok(json!({
            "do": "notify", "topic": topic, "driver": driver, "priorities": priorities, "publisher_id": "shop.python",
            "event_type": "order.created", "payload": payload,
        }))
        .await;
        let mut events = Vec::new();
        for _ in priorities {
            events.push(heard.next().await);
        }
        events.sort_by_key(|event| event.priority);
        assert_eq!(events.iter().map(|event| event.priority).collect::<Vec<_>>(), Priority::ALL, "{driver}");
        for event in events {
            assert_eq!((event.publisher_id.as_str(), event.event_type.as_str()), ("shop.python", "order.created"));
            assert_eq!(event.payload, payload, "{driver}");
            assert_eq!((event.message_id.len(), event.timestamp.len()), (36, 26), "{event:?}");
        }
        listener.shutdown(soon()).await.unwrap();
    }
    bus.close(soon()).await.unwrap();
}

async fn rust_hears_a_request_context_as_python_redacted_it(setting: Arc<Setting>) {
    let (bus, peer) = (setting.bus().await, setting.peer().await);
    for driver in DRIVERS {
        let topic = setting.unique("events");
        let (listener, mut heard) = started(&bus, &topic).await;
        peer.ok(json!({
            "do": "notify", "topic": topic, "driver": driver, "event_type": "order.created", "payload": {},
            "request_context": {"user_id": "bob", "auth_token": "a secret", "request_id": "req-1", "roles": ["reader"]},
        }))
        .await;
        let context = heard.next().await.context;
        assert_eq!(context.get::<String>("user").as_deref(), Some("bob"), "{driver}");
        assert_eq!(context.get::<String>("request_id").as_deref(), Some("req-1"), "{driver}");
        assert_eq!(context.get::<Option<String>>("auth_token"), Some(None), "{driver}");
        assert!(context.values().all(|(name, value)| name != "client_timeout" && !value.as_str().contains("secret")));
        listener.shutdown(soon()).await.unwrap();
    }
    bus.close(soon()).await.unwrap();
}

async fn rust_hears_nothing_of_a_plain_dictionary(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("events"));
    let (listener, mut heard) = started(&bus, &topic).await;
    let notify = json!({
        "do": "notify", "topic": topic, "driver": "messagingv2", "event_type": "order.created", "payload": [1],
        "context": {"user": "bob"},
    });
    setting.peer().await.ok(notify).await;
    let event = heard.next().await;
    assert_eq!((event.context.values().count(), event.payload), (0, json!([1])));
    listener.shutdown(soon()).await.unwrap();
    bus.close(soon()).await.unwrap();
}

async fn rust_hears_what_python_compressed(setting: Arc<Setting>) {
    let bus = setting.bus().await;
    for kombu in ["gzip", "bzip2"] {
        let topic = setting.unique("events");
        let (listener, mut heard) = started(&bus, &topic).await;
        let payload = json!({"text": "grün ".repeat(1_000)});
        let notify = json!({
            "do": "notify", "topic": topic, "driver": "messagingv2", "event_type": "e", "payload": payload,
            "options": {"kombu_compression": kombu},
        });
        setting.peer().await.ok(notify).await;
        assert!(heard.next().await.payload == payload, "{kombu}");
        listener.shutdown(soon()).await.unwrap();
    }
    bus.close(soon()).await.unwrap();
}

async fn rust_handles_later_what_python_notified_before(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("events"));
    let notify = json!({
        "do": "notify", "topic": topic, "driver": "messagingv2", "event_type": "e", "payloads": payloads(0..20),
    });
    setting.peer().await.ok(notify).await;
    let (listener, mut heard) = started(&bus, &topic).await;
    assert_eq!(heard.numbers(20).await, (0..20).collect::<Vec<_>>());
    listener.shutdown(soon()).await.unwrap();
    bus.close(soon()).await.unwrap();
}

async fn rust_hears_what_python_logs(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("events"));
    let (listener, mut heard) = started(&bus, &topic).await;
    let levels = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
    setting.peer().await.ok(json!({"do": "log", "topic": topic, "levels": levels})).await;
    let mut seen = Vec::new();
    for _ in levels {
        let event = heard.next().await;
        assert_eq!((event.event_type.as_str(), &event.payload["msg"]), ("logrecord", &json!("it failed again")));
        assert_eq!(event.payload.as_object().map(serde_json::Map::len), Some(12), "{}", event.payload);
        seen.push((event.priority.as_str(), event.payload["levelname"].as_str().unwrap_or_default().to_owned()));
    }
    seen.sort();
    let expected =
        [("critical", "CRITICAL"), ("debug", "DEBUG"), ("error", "ERROR"), ("info", "INFO"), ("warn", "WARNING")];
    assert_eq!(seen, expected.map(|(priority, level)| (priority, level.to_owned())));
    listener.shutdown(soon()).await.unwrap();
    bus.close(soon()).await.unwrap();
}
