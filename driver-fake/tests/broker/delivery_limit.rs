//! The delivery limit of quorum queues: what counts, what receivers see, and when a message is dropped.

use crate::support::*;
use oslo_messaging::driver::{DeliveryCount, IncomingMessage, Listener};
use oslo_messaging_fake::{CountedReturns, DeliveryLimit, FakeBroker, FakeConfig, FakeTransport};

/// A broker with a limit of two failures, with one message in `q`.
async fn limited(limit: DeliveryLimit) -> (FakeBroker, FakeTransport) {
    let broker = FakeBroker::with_config(FakeConfig::default().with_delivery_limit(limit));
    let transport = broker.transport();
    send(&transport, &durable("q"), "a").await;
    (broker, transport)
}

fn counted(message: &dyn IncomingMessage) -> Option<(u64, bool)> {
    message.message().delivery_count.map(|count: DeliveryCount| (count.failed, count.is_last()))
}

/// Requeues the next message; returns its delivery count and redelivered flag.
async fn return_one(listener: &mut Box<dyn Listener>) -> Option<(u64, bool)> {
    let message = receive(listener).await;
    let count = counted(&*message);
    message.requeue().await.unwrap();
    count
}

#[tokio::test(start_paused = true)]
async fn a_message_is_counted_and_dropped_when_it_exceeds_the_limit() {
    let (broker, transport) = limited(DeliveryLimit::new(2)).await;
    let mut listener = listen(&transport, &queue("q")).await;
    let counts = [return_one(&mut listener).await, return_one(&mut listener).await, return_one(&mut listener).await];
    assert_eq!(counts, [None, Some((1, false)), Some((2, true))]);
    expect_silence(&mut listener).await;
    assert_eq!((broker.counters().over_limit, broker.counters().requeued), (1, 2));
    listener.close(soon()).await.unwrap();
    broker.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn a_lost_consumer_counts_under_both_rules_and_a_requeue_under_the_older_alone() {
    for (rule, requeued) in [(CountedReturns::All, Some((1, false))), (CountedReturns::Failed, None)] {
        let (broker, transport) = limited(DeliveryLimit::new(2).with_counted(rule)).await;
        let mut listener = listen(&transport, &queue("q")).await;
        return_one(&mut listener).await;
        assert_eq!(return_one(&mut listener).await, requeued, "{rule:?}");
        for _ in 0..40 {
            broker.limit_deliveries(None);
            return_one(&mut listener).await;
        }
        broker.limit_deliveries(Some(DeliveryLimit::new(9).with_counted(rule)));
        let before = counted(&*receive(&mut listener).await).map_or(0, |(failed, _)| failed);
        broker.faults().interrupt();
        let lost = receive(&mut listener).await;
        assert!(counted(&*lost).is_some_and(|(failed, _)| failed > before), "{rule:?}");
        broker.faults().disconnect(&transport);
        let transport = broker.transport();
        let mut listener = listen(&transport, &queue("q")).await;
        let again = receive(&mut listener).await;
        assert!(counted(&*again) > counted(&*lost), "{rule:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn requeues_never_exceed_the_limit_where_only_failures_count() {
    let (broker, transport) = limited(DeliveryLimit::new(2).with_counted(CountedReturns::Failed)).await;
    let mut listener = listen(&transport, &queue("q")).await;
    for _ in 0..50 {
        assert_eq!(return_one(&mut listener).await, None);
    }
    drop(listener);
    assert_eq!((broker.queue("q").unwrap().ready, broker.counters().over_limit), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn dead_letters_and_private_queues_have_no_limit_of_their_own() {
    let broker = FakeBroker::with_config(FakeConfig::default().with_delivery_limit(DeliveryLimit::new(0)));
    let transport = broker.transport();
    let mut inbox = listen(&transport, &inbox()).await;
    let mut dead = listen(&transport, &queue("q.dead")).await;
    send(&transport, inbox.address(), "reply").await;
    send(&transport, &durable("q.dead"), "letter").await;
    for listener in [&mut inbox, &mut dead] {
        for _ in 0..3 {
            assert_eq!(return_one(listener).await, None);
        }
    }
    broker.limit_deliveries(Some(DeliveryLimit::new(0).with_dead_letters()));
    return_one(&mut dead).await;
    expect_silence(&mut dead).await;
    assert_eq!(broker.counters().over_limit, 1);
}

#[tokio::test(start_paused = true)]
async fn each_delivery_says_when_it_was_received() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &queue("q")).await;
    send(&transport, &durable("q"), "a").await;
    let sent = tokio::time::Instant::now();
    tokio::time::advance(QUIET).await;
    let message = receive(&mut listener).await;
    assert_eq!(message.message().received_at, Some(sent), "it lay in the window of its listener");
    message.requeue().await.unwrap();
    assert_eq!(receive(&mut listener).await.message().received_at, Some(sent + QUIET));
}
