//! What a test reads from the broker, and does to it.

use std::time::Duration;

use crate::support::*;
use oslo_messaging::driver::{Address, Message, Transport};
use oslo_messaging::{ErrorKind, State};
use oslo_messaging_fake::{FakeBroker, FakeConfig};
use tokio::time::advance;

#[tokio::test(start_paused = true)]
async fn bindings_are_shown() {
    let broker = FakeBroker::new();
    let _server = listen(&broker.transport(), &server("host")).await;
    let bindings: Vec<_> =
        broker.bindings().into_iter().map(|binding| (binding.exchange, binding.routing_key)).collect();
    for (exchange, key) in [("nova", "compute"), ("nova", "compute.host"), ("compute_fanout", "compute")] {
        assert!(bindings.contains(&(exchange.to_owned(), key.to_owned())), "{bindings:?}");
    }
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "the broker is not idle")]
async fn a_broker_that_still_holds_something_is_not_idle() {
    let broker = FakeBroker::new();
    send(&broker.transport(), &durable("q"), "x").await;
    broker.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn an_operator_deletes_a_queue_without_consumers() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    assert!(!broker.delete_queue("q"), "there is none");
    let listener = listen(&transport, &queue("q")).await;
    assert!(!broker.delete_queue("q"), "it is read");
    listener.close(soon()).await.unwrap();
    assert!(broker.delete_queue("q"));
    assert_eq!(broker.queue("q"), None);
}

#[tokio::test(start_paused = true)]
async fn settlements_are_counted() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &queue("q")).await;
    for text in ["a", "b", "c"] {
        send(&transport, &durable("q"), text).await;
    }
    receive(&mut listener).await.acknowledge().await.unwrap();
    receive(&mut listener).await.reject().await.unwrap();
    receive(&mut listener).await.requeue().await.unwrap();
    receive(&mut listener).await.acknowledge().await.unwrap();
    let counters = broker.counters();
    assert_eq!((counters.published, counters.delivered), (3, 4), "{counters:?}");
    assert_eq!((counters.acknowledged, counters.acknowledgement_writes), (2, 2), "{counters:?}");
    assert_eq!((counters.rejected, counters.requeued), (1, 1), "{counters:?}");
}

#[tokio::test(start_paused = true)]
async fn a_broker_can_be_made_with_other_limits() {
    let config = FakeConfig::default().with_max_message_size(10).with_queue_expiry(Duration::from_secs(5));
    let broker = FakeBroker::with_config(config);
    let transport = broker.transport();
    let long = transport.publish(&durable("q"), Message::new(vec![0; 11]), &plain()).await;
    assert_eq!(long.unwrap_err().kind(), ErrorKind::TooLarge);
    transport.publish(&durable("q"), Message::new(vec![0; 10]), &plain()).await.unwrap();

    let replies = listen(&transport, &inbox()).await;
    let Address::Direct { queue } = replies.address().clone() else { panic!("an inbox is a queue") };
    drop(replies);
    advance(Duration::from_secs(4)).await;
    assert!(broker.queue(&queue).is_some());
    advance(Duration::from_secs(2)).await;
    assert_eq!(broker.queue(&queue), None);
}

#[tokio::test(start_paused = true)]
async fn a_lost_transport_can_be_closed_and_a_closed_one_not_lost() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    broker.faults().disconnect(&transport);
    let lost = transport.health().borrow().state.clone();
    assert!(matches!(lost, State::Lost { .. }));
    broker.faults().kill();
    assert_eq!(transport.health().borrow().state, lost, "it was gone already");
    transport.close(soon()).await.unwrap();
    assert_eq!(transport.health().borrow().state, State::Closed);
    assert_eq!(fail(&transport, &topic(), &plain()).await.kind(), ErrorKind::Closed);
    broker.faults().disconnect(&transport);
    assert_eq!(transport.health().borrow().state, State::Closed);
    assert_eq!(fail(&transport, &topic(), &plain()).await.kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_cut_ends_every_listener_that_is_left_on_the_transport() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let (closed, mut left) = (listen(&transport, &queue("a")).await, listen(&transport, &queue("b")).await);
    closed.close(soon()).await.unwrap();
    broker.faults().disconnect(&transport);
    assert_eq!(poll(&mut left, 1).await.unwrap_err().kind(), ErrorKind::Disconnected);
    assert_eq!(broker.queue("b").map(|queue| queue.consumers), Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_settles_has_one_turn_in_the_round() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut one = listen(&transport, &narrow(queue("q"), 4)).await;
    let mut other = listen(&transport, &narrow(queue("q"), 4)).await;
    for text in ["a", "b"] {
        send(&transport, &durable("q"), text).await;
    }
    receive(&mut one).await.acknowledge().await.unwrap();
    let _held = receive(&mut other).await;
    for text in ["c", "d", "e", "f"] {
        send(&transport, &durable("q"), text).await;
    }
    let (ones, others) = (some(&mut one, 9).await, some(&mut other, 9).await);
    assert_eq!((bodies(&ones), bodies(&others)), (vec!["c", "e"], vec!["d", "f"]));
}
