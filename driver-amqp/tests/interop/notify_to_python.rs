//! Events from Rust to Python.

use std::sync::Arc;

use oslo_messaging::notify::{LogRecordLayer, MessagingSink, OutboxConfig};
use oslo_messaging::wire::{Compression, Format};
use oslo_messaging::{Bus, Context, Notifier, Priority};
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::budget::soon;
use crate::ear::{PythonListener, notifier, number};
use crate::setting::Setting;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(python_hears_every_priority_in_either_format),
    test!(python_hears_only_what_is_allowed_of_a_context),
    test!(a_pool_in_python_has_its_copy),
    test!(python_hears_batches),
    test!(python_hears_what_rust_compressed),
    test!(python_handles_later_what_rust_notified_before),
    test!(python_hears_what_rust_logs),
];

async fn python_hears_every_priority_in_either_format(setting: Arc<Setting>) {
    let (bus, peer) = (setting.bus().await, setting.peer().await);
    for format in [Format::V1, Format::V2] {
        let topic = setting.unique("events");
        let listener = PythonListener::start(peer, &topic, json!({})).await;
        let notifier = Notifier::from_sink("shop.rust", MessagingSink::new(&bus).topics([&topic]).format(format));
        let payload = json!({"text": "grün\u{1f600}\n", "list": [1, null, {"deep": true}]});
        for priority in Priority::ALL {
            notifier.notify(priority, &Context::new(), "order.created", &payload).await.unwrap();
        }
        let mut heard = listener.heard(7).await;
        heard.sort_by_key(|heard| heard["priority"].as_str().map(str::parse::<Priority>).unwrap().unwrap());
        for (heard, priority) in heard.iter().zip(Priority::ALL) {
            assert_eq!(heard["priority"], priority.as_str(), "{format:?}");
            assert_eq!((&heard["publisher_id"], &heard["event_type"]), (&json!("shop.rust"), &json!("order.created")));
            assert_eq!(heard["payload"], payload, "{format:?}");
            let length = |name: &str| heard["metadata"][name].as_str().map(str::len);
            assert_eq!((length("message_id"), length("timestamp")), (Some(36), Some(26)), "{heard}");
        }
        listener.stop().await;
    }
    bus.close(soon()).await.unwrap();
}

async fn python_hears_only_what_is_allowed_of_a_context(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("events"));
    let listener = PythonListener::start(setting.peer().await, &topic, json!({})).await;
    let context = Context::new().with("request_id", "req-1").with("auth_token", "a secret");
    let notifier = notifier(&bus, &topic).allow_context(["request_id"]);
    notifier.info(&context, "order.created", &json!({"n": 1})).await.unwrap();
    let heard = listener.heard(1).await;
    assert_eq!(heard[0]["context"]["request_id"], "req-1");
    assert!(heard[0]["context"].get("auth_token").is_none(), "{}", heard[0]);
    listener.stop().await;
    bus.close(soon()).await.unwrap();
}

async fn tell(notifier: &Notifier, numbers: std::ops::Range<u64>) {
    for n in numbers {
        notifier.info(&Context::new(), "order.created", &json!({ "n": n })).await.unwrap();
    }
}

async fn a_pool_in_python_has_its_copy(setting: Arc<Setting>) {
    let (bus, peer, topic) = (setting.bus().await, setting.peer().await, setting.unique("events"));
    let without = PythonListener::start(peer, &topic, json!({})).await;
    let pooled = PythonListener::start(peer, &topic, json!({"pool": setting.unique("pool")})).await;
    tell(&notifier(&bus, &topic), 0..20).await;
    for listener in [without, pooled] {
        assert_eq!(sorted(listener.numbers(20).await), (0..20).collect::<Vec<_>>());
        listener.stop().await;
    }
    bus.close(soon()).await.unwrap();
}

async fn python_hears_batches(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("events"));
    tell(&notifier(&bus, &topic), 0..25).await;
    let batch = json!({"batch": {"size": 10, "timeout": 2}});
    let listener = PythonListener::start(setting.peer().await, &topic, batch).await;
    let heard = listener.heard(3).await;
    let numbers = |heard: &Value| heard["payloads"].as_array().unwrap().iter().map(number).collect::<Vec<_>>();
    assert_eq!(heard.iter().flat_map(numbers).collect::<Vec<_>>(), (0..25).collect::<Vec<_>>());
    assert!(heard.iter().all(|heard| numbers(heard).len() <= 10), "{heard:?}");
    listener.stop().await;
    bus.close(soon()).await.unwrap();
}

async fn python_hears_what_rust_compressed(setting: Arc<Setting>) {
    for compression in [Compression::Zlib, Compression::Bzip2] {
        let bus = Bus::builder(setting.bus_and_transport().await.1).compression(compression).build();
        let topic = setting.unique("events");
        let listener = PythonListener::start(setting.peer().await, &topic, json!({})).await;
        let payload = json!({"text": "grün ".repeat(1_000)});
        notifier(&bus, &topic).info(&Context::new(), "e", &payload).await.unwrap();
        assert!(listener.heard(1).await[0]["payload"] == payload, "{compression:?}");
        listener.stop().await;
        bus.close(soon()).await.unwrap();
    }
}

async fn python_handles_later_what_rust_notified_before(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("events"));
    tell(&notifier(&bus, &topic), 0..20).await;
    bus.close(soon()).await.unwrap();
    let listener = PythonListener::start(setting.peer().await, &topic, json!({})).await;
    assert_eq!(sorted(listener.numbers(20).await), (0..20).collect::<Vec<_>>());
    listener.stop().await;
}

/// Threads of Python hear in any order.
fn sorted(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort_unstable();
    numbers
}

async fn python_hears_what_rust_logs(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("events"));
    let listener = PythonListener::start(setting.peer().await, &topic, json!({})).await;
    let background = notifier(&bus, &topic).background(OutboxConfig::default());
    let subscriber = tracing_subscriber::registry().with(LogRecordLayer::new(background.clone()));
    tracing::subscriber::with_default(
        subscriber,
        || tracing::error!(target: "shop.rust", tries = 3, "it failed again"),
    );
    assert_eq!(background.close(soon()).await, 0, "nothing is left in the outbox");
    let heard = listener.heard(1).await;
    assert_eq!((&heard[0]["priority"], &heard[0]["event_type"]), (&json!("error"), &json!("logrecord")));
    let payload = &heard[0]["payload"];
    assert_eq!(payload.as_object().map(serde_json::Map::len), Some(12), "{payload}");
    assert_eq!((&payload["levelno"], &payload["levelname"]), (&json!(40), &json!("ERROR")));
    assert_eq!((&payload["msg"], &payload["extra"]), (&json!("it failed again"), &json!({"tries": 3})));
    listener.stop().await;
    bus.close(soon()).await.unwrap();
}
