//! Settlement of messages, and the window of their consumers.

use crate::support::*;
use oslo_messaging::{ErrorKind, Executed};
use oslo_messaging_fake::FakeBroker;

#[tokio::test(start_paused = true)]
async fn before_handover_acknowledges_what_is_ready_with_one_write() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &careless(queue("q"))).await;
    for text in ["a", "b", "c", "d"] {
        send(&transport, &durable("q"), text).await;
    }
    let messages = some(&mut listener, 3).await;
    assert_eq!(bodies(&messages), ["a", "b", "c"]);
    let counters = broker.counters();
    assert_eq!((counters.acknowledged, counters.acknowledgement_writes), (3, 1));
    drop(messages);
    assert_eq!(broker.queue("q").unwrap().unsettled, 1, "the fourth is still unsettled, the others are gone");
}

#[tokio::test(start_paused = true)]
async fn a_message_settled_before_handover_accepts_each_call_and_does_nothing() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &careless(queue("q"))).await;
    for text in ["a", "b", "c"] {
        send(&transport, &durable("q"), text).await;
    }
    let mut messages = some(&mut listener, 3).await;
    messages.pop().unwrap().acknowledge().await.unwrap();
    messages.pop().unwrap().requeue().await.unwrap();
    listener.close(soon()).await.unwrap();
    messages.pop().unwrap().reject().await.unwrap();
    broker.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn an_acknowledged_message_is_gone_and_a_rejected_one_too() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &queue("q")).await;
    send(&transport, &durable("q"), "a").await;
    send(&transport, &durable("q"), "b").await;
    receive(&mut listener).await.acknowledge().await.unwrap();
    receive(&mut listener).await.reject().await.unwrap();
    listener.close(soon()).await.unwrap();
    let counters = broker.counters();
    assert_eq!((counters.acknowledged, counters.rejected, counters.requeued), (1, 1, 0));
    broker.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn a_requeued_message_comes_back_marked() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &queue("q")).await;
    send(&transport, &durable("q"), "a").await;
    let message = receive(&mut listener).await;
    assert!(!message.redelivered());
    message.requeue().await.unwrap();
    let message = receive(&mut listener).await;
    assert_eq!((body(&*message), message.redelivered()), ("a", true));
}

#[tokio::test(start_paused = true)]
async fn a_message_dropped_unsettled_is_requeued() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &queue("q")).await;
    send(&transport, &durable("q"), "a").await;
    drop(receive(&mut listener).await);
    assert!(receive(&mut listener).await.redelivered());
}

#[tokio::test(start_paused = true)]
async fn a_requeued_message_returns_to_its_position() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &narrow(queue("q"), 2)).await;
    for text in ["a", "b", "c", "d"] {
        send(&transport, &durable("q"), text).await;
    }
    let mut held = some(&mut listener, 2).await;
    listener.stop(soon()).await.unwrap();
    held.remove(1).requeue().await.unwrap();
    held.remove(0).requeue().await.unwrap();
    let mut next = listen(&transport, &queue("q")).await;
    let messages = some(&mut next, 9).await;
    assert_eq!(bodies(&messages), ["a", "b", "c", "d"]);
    let marked: Vec<_> = messages.iter().map(|message| message.redelivered()).collect();
    assert_eq!(marked, [true, true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn a_window_bounds_what_a_consumer_holds() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &narrow(queue("q"), 2)).await;
    for text in ["a", "b", "c"] {
        send(&transport, &durable("q"), text).await;
    }
    let mut held = some(&mut listener, 9).await;
    assert_eq!(bodies(&held), ["a", "b"]);
    let state = broker.queue("q").unwrap();
    assert_eq!((state.ready, state.unsettled), (1, 2));
    expect_silence(&mut listener).await;
    held.remove(0).acknowledge().await.unwrap();
    assert_eq!(body(&*receive(&mut listener).await), "c");
}

#[tokio::test(start_paused = true)]
async fn each_queue_of_a_subscription_has_its_own_window() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &narrow(server("h1"), 1)).await;
    let own = listener.address().clone();
    for (to, text) in [(&topic(), "topic"), (&topic(), "waits"), (&own, "own"), (&fanout(), "fanout")] {
        send(&transport, to, text).await;
    }
    assert_eq!(bodies(&some(&mut listener, 9).await), ["topic", "own", "fanout"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_consumer_is_passed_over_in_the_round() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut busy = listen(&transport, &narrow(queue("q"), 1)).await;
    let mut free = listen(&transport, &narrow(queue("q"), 9)).await;
    for text in ["a", "b", "c", "d"] {
        send(&transport, &durable("q"), text).await;
    }
    assert_eq!(bodies(&some(&mut busy, 9).await), ["a"]);
    assert_eq!(bodies(&some(&mut free, 9).await)[..3], ["b", "c", "d"]);
}

#[tokio::test(start_paused = true)]
async fn settling_after_the_listener_was_closed_is_closed() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &queue("q")).await;
    send(&transport, &durable("q"), "a").await;
    let message = receive(&mut listener).await;
    listener.close(soon()).await.unwrap();
    assert_eq!(broker.queue("q").unwrap().ready, 1, "it was requeued by the close");
    let error = message.acknowledge().await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Closed, Executed::No));
    assert_eq!(broker.queue("q").unwrap().ready, 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_in_hand_can_be_settled_after_stop() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &queue("q")).await;
    send(&transport, &durable("q"), "a").await;
    let message = receive(&mut listener).await;
    listener.stop(soon()).await.unwrap();
    message.acknowledge().await.unwrap();
    listener.close(soon()).await.unwrap();
    broker.assert_idle();
}
