//! The notifier of a service whose operator has a configuration file.

use std::time::Duration;

use oslo_messaging::{Bus, ConfigFile, Context, Deadline, ErrorKind, Notifier, Registry};
use oslo_messaging_fake::{FakeBroker, FakeConnector};
use serde_json::json;

fn file(notifications: &str) -> ConfigFile {
    ConfigFile::parse(&format!("[oslo_messaging_notifications]\n{notifications}\n")).unwrap()
}

#[tokio::test]
async fn events_go_to_the_topics_of_the_file_in_the_form_of_each_driver() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let file = file("driver = messagingv2\ndriver = messaging\ndriver = log\ntopics = notifications, billing");
    let notifier = Notifier::from_config(&bus, &file, "nova.host-1").unwrap();
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
        let notifier = Notifier::from_config(&bus, &file(quiet), "nova.host-1").unwrap();
        assert!(!notifier.is_enabled());
        notifier.info(&Context::new(), "server.made", &json!({})).await.unwrap();
    }
    assert!(broker.queues().is_empty(), "{:?}", broker.queues());
}

#[tokio::test]
async fn a_driver_that_is_none_and_a_routing_file_that_is_not_there_are_named() {
    let bus = Bus::new(FakeBroker::new().transport());
    for (wrong, named) in [("driver = kafka", "kafka"), ("driver = routing", "routing"), ("retry = often", "often")] {
        let error = Notifier::from_config(&bus, &file(wrong), "nova.host-1").unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains(named), "{error}");
    }
}

/// A file whose notifications have a bus of their own.
fn apart(notifications: &str, driver: &str) -> ConfigFile {
    let text = format!(
        "[DEFAULT]\ntransport_url = fake://rpc-{notifications}/v\n[oslo_messaging_notifications]\n\
         transport_url = fake://{notifications}/v\ndriver = {driver}\n"
    );
    ConfigFile::parse(&text).unwrap()
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(5))
}

#[tokio::test]
async fn events_go_to_the_bus_of_notifications_of_the_file() {
    let (file, registry) = (apart("events-of-nova", "messagingv2"), Registry::new().register(FakeConnector::default()));
    let bus = Bus::from_config_for_notifications(&file, &registry, soon()).await.unwrap();
    let notifier = Notifier::from_config(&bus, &file, "nova.host-1").unwrap();
    notifier.info(&Context::new(), "server.made", &json!({})).await.unwrap();
    let ready = |name: &str| FakeBroker::named(name).queue("notifications.info").map(|queue| queue.ready);
    assert_eq!((ready("events-of-nova/v"), ready("rpc-events-of-nova/v")), (Some(1), None));
}

#[tokio::test]
async fn a_bus_of_another_broker_than_the_file_s_is_refused() {
    let (file, registry) = (apart("elsewhere", "messagingv2"), Registry::new().register(FakeConnector::default()));
    let mistaken = Bus::from_config(&file, &registry, soon()).await.unwrap();
    let other_host = Bus::connect("fake://elsewhere/w", &registry, soon()).await.unwrap();
    for bus in [mistaken, other_host] {
        let error = Notifier::from_config(&bus, &file, "nova.host-1").unwrap_err();
        let text = error.to_string();
        assert!(error.kind() == ErrorKind::Config && text.contains("from_config_for_notifications"), "{text}");
        // What sends nothing needs no bus.
        Notifier::from_config(&bus, &apart("elsewhere", "log"), "nova.host-1").unwrap();
        Notifier::from_config(&bus, &self::file("driver = messagingv2"), "nova.host-1").unwrap();
    }
}

#[tokio::test]
async fn without_a_url_of_their_own_notifications_go_to_the_bus_of_the_file() {
    let text = "[DEFAULT]\ntransport_url = fake://shared-bus/\n[oslo_messaging_notifications]\ndriver = messaging\n";
    let (file, registry) = (ConfigFile::parse(text).unwrap(), Registry::new().register(FakeConnector::default()));
    let broker = FakeBroker::named("shared-bus");
    for bus in [
        Bus::from_config(&file, &registry, soon()).await.unwrap(),
        Bus::from_config_for_notifications(&file, &registry, soon()).await.unwrap(),
    ] {
        let notifier = Notifier::from_config(&bus, &file, "nova.host-1").unwrap();
        notifier.info(&Context::new(), "server.made", &json!({})).await.unwrap();
    }
    let queue = broker.queue("notifications.info");
    assert_eq!(queue.map(|queue| queue.ready), Some(2));
}
