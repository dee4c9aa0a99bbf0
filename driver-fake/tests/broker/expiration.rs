//! Messages with a time to live.

use std::time::Duration;

use crate::support::*;
use oslo_messaging::driver::{Message, Transport};
use oslo_messaging_fake::{FakeBroker, FakeTransport};
use tokio::time::advance;

async fn send_for(transport: &FakeTransport, body: &'static str, seconds: u64) {
    let message = Message::new(body).with_expiration(Duration::from_secs(seconds));
    transport.publish(&durable("q"), message, &plain()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_expired_message_is_never_delivered() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    send_for(&transport, "dies", 5).await;
    send_for(&transport, "lives", 6).await;
    advance(Duration::from_secs(5)).await;
    assert_eq!(broker.queue("q").unwrap().ready, 1);
    let mut listener = listen(&transport, &queue("q")).await;
    let messages = some(&mut listener, 9).await;
    assert_eq!(bodies(&messages), ["lives"]);
    assert_eq!(messages[0].message().expiration, Some(Duration::from_secs(6)));
    assert_eq!(broker.counters().expired, 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_to_live_for_nothing_needs_a_consumer_with_room() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &narrow(queue("q"), 1)).await;
    send_for(&transport, "met", 0).await;
    send_for(&transport, "missed", 0).await;
    receive(&mut listener).await.acknowledge().await.unwrap();
    expect_silence(&mut listener).await;
    assert_eq!(broker.counters().expired, 1);
}

#[tokio::test(start_paused = true)]
async fn an_unsettled_message_does_not_expire_until_it_is_requeued() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &queue("q")).await;
    send_for(&transport, "a", 5).await;
    advance(Duration::from_secs(9)).await;
    let message = receive(&mut listener).await;
    message.requeue().await.unwrap();
    expect_silence(&mut listener).await;
    assert_eq!(broker.queue("q").unwrap().ready, 0);
}

#[tokio::test(start_paused = true)]
async fn an_expiration_beyond_the_clock_never_comes() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let message = Message::new("x").with_expiration(Duration::MAX);
    transport.publish(&durable("q"), message, &plain()).await.unwrap();
    assert_eq!(broker.queue("q").unwrap().ready, 1);
}
