//! Listeners and transports: waiting, stopping, closing and dropping.

use std::time::Duration;

use crate::support::*;
use futures_util::FutureExt;
use oslo_messaging::driver::{Address, Message, Transport};
use oslo_messaging::{Deadline, ErrorKind, Executed, State};
use oslo_messaging_fake::FakeBroker;
use tokio::time::advance;

#[tokio::test(start_paused = true)]
async fn a_poll_that_waits_is_woken_by_a_publish() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &queue("q")).await;
    let to = durable("q");
    let (messages, ()) = tokio::join!(some(&mut listener, 1), send(&transport, &to, "x"));
    assert_eq!(bodies(&messages), ["x"]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_poll_loses_nothing() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    for subscription in [queue("q"), careless(queue("q"))] {
        let mut listener = listen(&transport, &subscription).await;
        let mut received = Vec::new();
        for text in ["a", "b", "c"] {
            // Polled once, so that it waits, then woken by the publish and dropped before it looks.
            let mut poll = Box::pin(listener.poll(max(1)));
            assert!(poll.as_mut().now_or_never().is_none());
            send(&transport, &durable("q"), text).await;
            drop(poll);
            let message = receive(&mut listener).await;
            received.push(body(&*message).to_owned());
            message.acknowledge().await.unwrap();
        }
        assert_eq!(received, ["a", "b", "c"]);
        listener.close(soon()).await.unwrap();
    }
    broker.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn stop_ends_consuming_and_poll_drains_the_buffer() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &narrow(queue("q"), 2)).await;
    for text in ["a", "b", "c"] {
        send(&transport, &durable("q"), text).await;
    }
    listener.stop(soon()).await.unwrap();
    listener.stop(soon()).await.unwrap();
    let held = some(&mut listener, 9).await;
    assert_eq!(bodies(&held), ["a", "b"]);
    for message in held {
        message.acknowledge().await.unwrap();
    }
    assert!(poll(&mut listener, 1).await.unwrap().is_none());
    assert!(poll(&mut listener, 1).await.unwrap().is_none());
    assert_eq!(broker.queue("q").unwrap().ready, 1);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_settles_before_handover_acknowledges_nothing_after_its_stop() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &careless(queue("q"))).await;
    for text in ["a", "b", "c"] {
        send(&transport, &durable("q"), text).await;
    }
    assert_eq!(bodies(&some(&mut listener, 1).await), ["a"]);
    listener.stop(soon()).await.unwrap();
    assert!(poll(&mut listener, 9).await.unwrap().is_none());
    assert_eq!(broker.counters().acknowledged, 1);
    listener.close(soon()).await.unwrap();
    assert_eq!(broker.queue("q").unwrap().ready, 2);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_listener_requeues_also_messages_never_polled() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &queue("q")).await;
    for text in ["a", "b"] {
        send(&transport, &durable("q"), text).await;
    }
    let held = receive(&mut listener).await;
    drop(listener);
    let state = broker.queue("q").unwrap();
    assert_eq!((state.ready, state.unsettled, state.consumers), (2, 0, 0));
    drop(held);
    let mut next = listen(&transport, &queue("q")).await;
    let messages = some(&mut next, 9).await;
    assert_eq!(bodies(&messages), ["a", "b"]);
    assert!(messages.iter().all(|message| message.redelivered()));
}

#[tokio::test(start_paused = true)]
async fn closing_a_listener_deletes_its_private_queues_and_keeps_the_shared_ones() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let listener = listen(&transport, &server("h1")).await;
    let replies = listen(&transport, &inbox()).await;
    listener.close(soon()).await.unwrap();
    replies.close(soon()).await.unwrap();
    let names: Vec<_> = broker.queues().into_iter().map(|queue| queue.name).collect();
    assert_eq!(names, ["compute", "compute.h1"]);
    broker.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn a_private_queue_outlives_its_dropped_reader_by_half_an_hour() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let listener = listen(&transport, &inbox()).await;
    let to = listener.address().clone();
    advance(Duration::from_secs(4000)).await;
    drop(listener);
    advance(Duration::from_secs(1799)).await;
    transport.publish(&to, Message::new("kept"), &mandatory()).await.unwrap();
    advance(Duration::from_secs(1)).await;
    assert_eq!(fail(&transport, &to, &mandatory()).await.kind(), ErrorKind::Undeliverable);
    broker.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn a_fanout_exchange_goes_when_its_last_queue_expires() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    drop(listen(&transport, &server("h1")).await);
    advance(Duration::from_secs(1800)).await;
    assert!(!broker.exchanges().iter().any(|exchange| exchange.name == "compute_fanout"));
}

#[tokio::test(start_paused = true)]
async fn a_closed_transport_refuses_everything_and_ends_its_listeners() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &queue("q")).await;
    transport.close(soon()).await.unwrap();
    transport.close(soon()).await.unwrap();
    assert_eq!(transport.health().borrow().state, State::Closed);
    assert_eq!(fail(&transport, &topic(), &plain()).await.kind(), ErrorKind::Closed);
    assert_eq!(transport.subscribe(&queue("q"), soon()).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(poll(&mut listener, 1).await.unwrap_err().kind(), ErrorKind::Closed);
    broker.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_transport_requeues_the_messages_of_its_listeners() {
    let broker = FakeBroker::new();
    let dying = broker.transport();
    let mut listener = listen(&dying, &queue("q")).await;
    send(&dying, &durable("q"), "a").await;
    let held = receive(&mut listener).await;
    drop(dying);
    let transport = broker.transport();
    let mut next = listen(&transport, &queue("q")).await;
    assert!(receive(&mut next).await.redelivered());
    assert_eq!(held.acknowledge().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_operation_past_its_deadline_times_out() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &inbox()).await;
    let past = Deadline::after(Duration::ZERO);
    let options = oslo_messaging::driver::PublishOptions::by(past);
    let error = fail(&transport, &fanout(), &options).await;
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::No));
    assert_eq!(transport.subscribe(&queue("q"), past).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(listener.stop(past).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(poll(&mut listener, 1).await.unwrap().is_none(), "it has stopped all the same");
    assert_eq!(listener.close(past).await.unwrap_err().kind(), ErrorKind::Timeout);
    broker.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn leftovers_are_named() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let listener = listen(&transport, &inbox()).await;
    let Address::Direct { queue } = listener.address().clone() else { panic!("an inbox is a queue") };
    send(&transport, &durable("jobs"), "x").await;
    let leftovers = broker.leftovers().to_string();
    assert!(leftovers.contains(&queue) && leftovers.contains("jobs"), "{leftovers}");
}
