//! From a URL to a broker.

use std::time::Duration;

use oslo_messaging::config::TransportUrl;
use oslo_messaging::driver::Message;
use oslo_messaging::{Deadline, ErrorKind, Registry};
use oslo_messaging_fake::{FakeBroker, FakeConnector};

use crate::support::*;

fn url(text: &str) -> TransportUrl {
    TransportUrl::parse(text).unwrap()
}

#[tokio::test]
async fn a_name_in_the_url_is_a_broker_of_the_process() {
    let registry = Registry::new().register(FakeConnector::default());
    let transport = registry.connect(&url("fake://a_name_in_the_url"), soon()).await.unwrap();
    transport.publish(&durable("q"), Message::new("x"), &plain()).await.unwrap();
    assert_eq!(FakeBroker::named("a_name_in_the_url").queues().len(), 1);
    let elsewhere = registry.connect(&url("fake://a_name_in_the_url/elsewhere"), soon()).await.unwrap();
    elsewhere.publish(&durable("q2"), Message::new("x"), &plain()).await.unwrap();
    assert_eq!(FakeBroker::named("a_name_in_the_url").queues().len(), 1, "a virtual host is another broker");
}

#[tokio::test]
async fn a_given_broker_takes_every_url() {
    let broker = FakeBroker::new();
    let registry = Registry::new().register_scheme("rabbit", FakeConnector::to(&broker));
    let transport = registry.connect(&url("rabbit://u:p@mq:5672/nova?heartbeat=10"), soon()).await.unwrap();
    transport.publish(&durable("q"), Message::new("x"), &plain()).await.unwrap();
    assert_eq!(broker.queues().len(), 1);
}

#[tokio::test]
async fn an_unknown_option_and_a_passed_deadline_are_refused() {
    let registry = Registry::new().register(FakeConnector::default());
    let error = registry.connect(&url("fake://x?speed=9"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let error = registry.connect(&url("fake://x"), Deadline::after(Duration::ZERO)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}
