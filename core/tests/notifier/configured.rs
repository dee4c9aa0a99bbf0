//! The notifier of a service whose operator has a configuration file.

use oslo_messaging::{Bus, ConfigFile, Context, ErrorKind, Notifier};
use oslo_messaging_fake::FakeBroker;
use serde_json::json;

fn file(notifications: &str) -> ConfigFile {
    ConfigFile::parse(&format!("[oslo_messaging_notifications]\n{notifications}\n")).unwrap()
}

#[tokio::test]
async fn events_go_to_the_topics_of_the_file_in_the_form_of_each_driver() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let file = file("driver = messagingv2\ndriver = messaging\ndriver = log\ntopics = notifications, billing");
    let notifier = Notifier::configured(&bus, &file, "nova.host-1").unwrap();
    notifier.info(&Context::new(), "server.made", &json!({})).await.unwrap();
    for queue in ["notifications.info", "billing.info"] {
        assert_eq!(broker.queue(queue).map(|queue| queue.ready), Some(2), "{queue}");
    }
}

#[tokio::test]
async fn a_file_without_a_driver_tells_nobody() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    for quiet in ["", "driver = noop"] {
        let notifier = Notifier::configured(&bus, &file(quiet), "nova.host-1").unwrap();
        assert!(!notifier.is_enabled());
        notifier.info(&Context::new(), "server.made", &json!({})).await.unwrap();
    }
    assert!(broker.queues().is_empty(), "{:?}", broker.queues());
}

#[tokio::test]
async fn a_driver_that_is_none_and_a_routing_file_that_is_not_there_are_named() {
    let bus = Bus::new(FakeBroker::new().transport());
    for (wrong, told) in [("driver = kafka", "kafka"), ("driver = routing", "routing"), ("retry = often", "often")] {
        let error = Notifier::configured(&bus, &file(wrong), "nova.host-1").unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains(told), "{error}");
    }
}
