//! What is sent on the bus, where to, and whether it is kept.

use std::collections::HashMap;
use std::time::Duration;

use oslo_messaging::notify::MessagingSink;
use oslo_messaging::wire::{Compression, Format};
use oslo_messaging::{Bus, Context, ErrorKind, Executed, Notifier, Priority};
use oslo_messaging_fake::{FakeBroker, Fault, FaultRule};
use serde_json::{Value, json};

use crate::spy::{Publish, bus, shape};

const TOPICS: [&str; 2] = ["topic1", "topic2"];

#[tokio::test(start_paused = true)]
async fn every_event_is_the_same_dict_on_every_topic_in_both_formats_for_all_priorities() {
    let context = Context::new().with("user", "bob");
    for (format, topics) in [Format::V1, Format::V2].into_iter().flat_map(|format| (0..=2).map(move |n| (format, n))) {
        let topics = &TOPICS[..topics];
        for (given, prepared) in [("test.localhost", None), ("unused", Some("test.localhost"))] {
            let (bus, spy) = bus(&FakeBroker::new());
            let sink = MessagingSink::new(&bus).topics(topics.iter().copied()).format(format);
            let notifier = Notifier::from_sink(given, sink);
            let notifier = prepared.map_or(notifier.clone(), |id| notifier.prepare().publisher_id(id));
            assert!(notifier.is_enabled());
            for priority in Priority::ALL {
                let before = spy.published().len();
                notifier.notify(priority, &context, "test.notify", &json!({"id": 1})).await.unwrap();
                let sent = &spy.published()[before..];
                let expected = topics.iter().map(|topic| ("openstack".to_owned(), format!("{topic}.{priority}")));
                assert_eq!(sent.iter().map(Publish::route).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
                for publish in sent {
                    assert_is_the_dict(publish, priority, format);
                }
                if let [first, second] = sent {
                    let (first, second) = (first.content(), second.content());
                    assert_eq!(first["message_id"], second["message_id"], "one id for the event");
                    assert_ne!(first["_unique_id"], second["_unique_id"], "one id for each message");
                }
            }
        }
    }
}

fn assert_is_the_dict(publish: &Publish, priority: Priority, format: Format) {
    let mut dict = publish.content();
    let mut shape_of = |name: &str| shape(&dict.remove(name).unwrap());
    assert_eq!(shape_of("message_id"), "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
    assert_eq!(shape_of("timestamp"), "xxxx-xx-xx xx:xx:xx.xxxxxx");
    assert_eq!(shape_of("_unique_id"), "x".repeat(32));
    let expected = json!({
        "publisher_id": "test.localhost",
        "event_type": "test.notify",
        "priority": priority.as_upper_case(),
        "payload": {"id": 1},
    });
    assert_eq!(Value::Object(dict), expected);
    assert_eq!(publish.format(), format);
    assert!(publish.message.headers.is_empty() && publish.message.expiration.is_none());
    assert!(publish.options.ensure_queue && publish.options.mandatory);
}

#[tokio::test]
async fn the_methods_named_after_priorities_use_them() {
    let (bus, spy) = bus(&FakeBroker::new());
    let (notifier, context) = (Notifier::new(&bus, "p"), Context::new());
    notifier.audit(&context, "e", &()).await.unwrap();
    notifier.debug(&context, "e", &()).await.unwrap();
    notifier.info(&context, "e", &()).await.unwrap();
    notifier.warn(&context, "e", &()).await.unwrap();
    notifier.error(&context, "e", &()).await.unwrap();
    notifier.critical(&context, "e", &()).await.unwrap();
    notifier.sample(&context, "e", &()).await.unwrap();
    let keys: Vec<_> = spy.published().iter().map(|publish| publish.route().1).collect();
    assert_eq!(keys, Priority::ALL.map(|priority| format!("notifications.{priority}")));
}

#[tokio::test]
async fn an_event_is_kept_before_anybody_listens() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let notifier = Notifier::from_sink("p", MessagingSink::new(&bus).exchange("shop"));
    for n in 0..3 {
        notifier.info(&Context::new(), "e", &n).await.unwrap();
    }
    assert_eq!(broker.queue("notifications.info").unwrap().ready, 3);
    let bound: Vec<_> = broker.bindings().into_iter().map(|b| (b.exchange, b.routing_key, b.queue)).collect();
    assert_eq!(bound, [("shop".into(), "notifications.info".into(), "notifications.info".into())]);
}

#[tokio::test]
async fn without_a_queue_nothing_is_declared_and_an_event_for_nobody_is_no_error() {
    let broker = FakeBroker::new();
    let (bus, spy) = bus(&broker);
    let notifier = Notifier::from_sink("p", MessagingSink::new(&bus).without_queue());
    notifier.info(&Context::new(), "e", &1).await.unwrap();
    assert!(broker.queues().is_empty());
    let options = spy.published()[0].options;
    assert!(!options.ensure_queue && !options.mandatory);
}

#[tokio::test(start_paused = true)]
async fn an_event_lies_in_its_queue_no_longer_than_its_age_limit() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let limit = Duration::from_secs(300);
    let limited = Notifier::from_sink("p", MessagingSink::new(&bus).expiration(limit));
    limited.info(&Context::new(), "e", &1).await.unwrap();
    Notifier::new(&bus, "p").info(&Context::new(), "e", &2).await.unwrap();
    assert_eq!(broker.queue("notifications.info").unwrap().ready, 2);
    tokio::time::advance(limit + Duration::from_millis(1)).await;
    assert_eq!(broker.queue("notifications.info").unwrap().ready, 1, "the one without a limit stays");
    assert_eq!(broker.counters().expired, 1);
}

#[tokio::test]
async fn a_bus_that_compresses_compresses_events() {
    let broker = FakeBroker::new();
    let (_, spy) = bus(&broker);
    let bus = Bus::builder(std::sync::Arc::clone(&spy)).compression(Compression::Zlib).build();
    Notifier::new(&bus, "p").info(&Context::new(), "e", &"x".repeat(1000)).await.unwrap();
    let sent = &spy.published()[0];
    assert_eq!(sent.message.headers["compression"], "application/x-gzip");
    assert_eq!(sent.content()["payload"], "x".repeat(1000));
}

#[tokio::test]
async fn a_payload_is_anything_that_has_a_json_form() {
    let (bus, spy) = bus(&FakeBroker::new());
    let (notifier, context) = (Notifier::new(&bus, "p"), Context::new());
    let payloads = [json!(null), json!(0), json!("text"), json!([1, "ü"]), json!({"k": {"l": 1.5}})];
    for payload in &payloads {
        notifier.info(&context, "e", payload).await.unwrap();
    }
    let sent: Vec<_> = spy.published().iter().map(|publish| publish.content()["payload"].clone()).collect();
    assert_eq!(sent, payloads);
    let error = notifier.info(&context, "odd.event", &HashMap::from([((1, 2), 3)])).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Encode, Executed::No));
    assert!(error.to_string().contains("odd.event"), "{error}");
    assert_eq!(spy.published().len(), payloads.len(), "nothing of it was sent");
}

#[tokio::test]
async fn an_event_without_a_bound_queue_is_an_error_for_its_publisher() {
    let broker = FakeBroker::new();
    broker.faults().add(FaultRule::new(Fault::Return));
    let notifier = Notifier::new(&Bus::new(broker.transport()), "p");
    let error = notifier.info(&Context::new(), "e", &1).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Undeliverable, Executed::No));
}
