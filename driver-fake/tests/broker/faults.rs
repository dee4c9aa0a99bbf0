//! Injected faults, and what publishers and listeners see of them.

use std::time::Duration;

use crate::support::*;
use oslo_messaging::driver::{Address, Message, PublishOptions, Transport};
use oslo_messaging::{Deadline, ErrorKind, Executed, State};
use oslo_messaging_fake::{Cut, FakeBroker, Fault, FaultRule};

/// A delay that no deadline of these tests reaches by itself.
const LATE: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn a_dropped_message_is_confirmed_and_lost() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    broker.faults().add(FaultRule::new(Fault::Drop));
    send(&transport, &durable("q"), "lost").await;
    send(&transport, &durable("q"), "kept").await;
    assert_eq!(broker.queue("q").unwrap().ready, 1);
    assert_eq!(broker.faults().met(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_delayed_message_arrives_after_its_publisher_gave_up() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &queue("q")).await;
    broker.faults().add(FaultRule::new(Fault::Delay(LATE)));
    let error = fail(&transport, &durable("q"), &plain()).await;
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe));
    assert_eq!(broker.leftovers().delayed, 1);
    let deadline = Deadline::after(LATE);
    let messages = deadline.run("poll", listener.poll(max(1))).await.unwrap().unwrap().unwrap();
    assert_eq!(bodies(&messages), ["x"]);
}

#[tokio::test(start_paused = true)]
async fn a_delayed_publish_ends_when_its_message_arrives() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    broker.faults().add(FaultRule::new(Fault::Delay(LATE)));
    let started = tokio::time::Instant::now();
    let options = PublishOptions::by(Deadline::after(LATE * 2));
    transport.publish(&durable("q"), Message::new("x"), &options).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), LATE.as_secs());
    assert_eq!(broker.queue("q").unwrap().ready, 1);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_poll_gets_a_delayed_message_whose_publisher_gave_up() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &queue("q")).await;
    broker.faults().add(FaultRule::new(Fault::Delay(LATE)));
    let started = tokio::time::Instant::now();
    let (to, options) = (durable("q"), plain());
    let waiting = Deadline::after(LATE * 2);
    let (messages, error) = tokio::join!(waiting.run("poll", listener.poll(max(1))), fail(&transport, &to, &options));
    assert_eq!(error.executed(), Executed::Maybe);
    assert_eq!(bodies(&messages.unwrap().unwrap().unwrap()), ["x"]);
    assert_eq!(started.elapsed().as_secs(), LATE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_duplicated_message_arrives_twice_without_a_mark() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &queue("q")).await;
    broker.faults().add(FaultRule::new(Fault::Duplicate));
    send(&transport, &durable("q"), "x").await;
    let messages = some(&mut listener, 9).await;
    assert_eq!(bodies(&messages), ["x", "x"]);
    assert_eq!(messages[0].message().id, messages[1].message().id);
    assert!(messages.iter().all(|message| !message.redelivered()));
}

#[tokio::test(start_paused = true)]
async fn a_reordered_message_comes_after_the_next_one_or_after_its_time() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &queue("q")).await;
    broker.faults().add(FaultRule::new(Fault::Reorder(LATE)).when(|to, _| *to == durable("q")).times(1));
    for text in ["a", "b"] {
        send(&transport, &durable("q"), text).await;
    }
    assert_eq!(bodies(&some(&mut listener, 9).await), ["b", "a"]);

    broker.faults().add(FaultRule::new(Fault::Reorder(LATE)));
    let mut fresh = listen(&transport, &inbox()).await;
    let to = fresh.address().clone();
    send(&transport, &to, "alone").await;
    let messages = Deadline::after(LATE).run("poll", fresh.poll(max(1))).await.unwrap().unwrap().unwrap();
    assert_eq!(bodies(&messages), ["alone"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_is_nowhere() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    broker.faults().add(FaultRule::new(Fault::Nack));
    let error = fail(&transport, &durable("q"), &plain()).await;
    assert_eq!((error.kind(), error.executed(), error.is_transient()), (ErrorKind::Refused, Executed::No, true));
    assert!(broker.queues().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_return_reaches_only_a_mandatory_publisher() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let _listener = listen(&transport, &queue("q")).await;
    broker.faults().add(FaultRule::new(Fault::Return).times(2));
    let to = Address::Direct { queue: "q".into() };
    assert_eq!(fail(&transport, &to, &mandatory()).await.kind(), ErrorKind::Undeliverable);
    send(&transport, &to, "vanishes").await;
    assert_eq!(broker.counters().delivered, 0);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_publish_waits_until_its_deadline() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    broker.faults().block("memory");
    assert_eq!(transport.health().borrow().state, State::Blocked { reason: "memory".into() });
    assert_eq!(broker.transport().health().borrow().state, State::Blocked { reason: "memory".into() });
    let started = tokio::time::Instant::now();
    let error = fail(&transport, &durable("q"), &plain()).await;
    assert_eq!((error.kind(), error.executed(), error.is_transient()), (ErrorKind::Blocked, Executed::No, true));
    assert_eq!(started.elapsed().as_secs(), ARRIVE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_blocked_publish_goes_on_when_the_alarm_ends() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    broker.faults().block("disk");
    let to = durable("q");
    tokio::join!(send(&transport, &to, "x"), async { broker.faults().unblock() });
    assert_eq!(broker.queue("q").unwrap().ready, 1);
    assert_eq!(transport.health().borrow().state, State::Ready);
}

#[tokio::test(start_paused = true)]
async fn consuming_goes_on_during_an_alarm() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    send(&transport, &durable("q"), "x").await;
    broker.faults().block("memory");
    let mut listener = listen(&transport, &queue("q")).await;
    receive(&mut listener).await.acknowledge().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cut_transport_fails_at_once_and_requeues_its_messages() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &queue("q")).await;
    send(&transport, &durable("q"), "a").await;
    let held = receive(&mut listener).await;
    broker.faults().disconnect(&transport);

    assert!(matches!(transport.health().borrow().state, State::Lost { .. }));
    let error = poll(&mut listener, 1).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Disconnected, Executed::Maybe));
    let error = held.acknowledge().await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Disconnected, Executed::Maybe));
    let error = fail(&transport, &durable("q"), &plain()).await;
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Disconnected, Executed::No));
    assert_eq!(transport.subscribe(&queue("q"), soon()).await.unwrap_err().kind(), ErrorKind::Disconnected);
    assert_eq!(listener.close(soon()).await.unwrap_err().kind(), ErrorKind::Disconnected);

    let other = broker.transport();
    let mut next = listen(&other, &queue("q")).await;
    assert!(receive(&mut next).await.redelivered());
}

#[tokio::test(start_paused = true)]
async fn a_cut_ends_waiting_operations() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &queue("q")).await;
    broker.faults().block("memory");
    let (to, options) = (durable("q"), plain());
    let (polled, published, ()) = tokio::join!(poll(&mut listener, 1), fail(&transport, &to, &options), async {
        broker.faults().disconnect(&transport);
    });
    assert_eq!(polled.unwrap_err().kind(), ErrorKind::Disconnected);
    assert_eq!((published.kind(), published.executed()), (ErrorKind::Disconnected, Executed::No));
}

#[tokio::test(start_paused = true)]
async fn a_cut_reports_whether_the_message_may_have_arrived() {
    let broker = FakeBroker::new();
    for (cut, executed, ready) in
        [(Cut::BeforeSend, Executed::No, None), (Cut::BeforeConfirm, Executed::Maybe, Some(1))]
    {
        let transport = broker.transport();
        broker.faults().add(FaultRule::new(Fault::Disconnect(cut)));
        let error = fail(&transport, &durable("q"), &plain()).await;
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Disconnected, executed));
        assert_eq!(broker.queue("q").map(|queue| queue.ready), ready);
    }
}

#[tokio::test(start_paused = true)]
async fn a_killed_broker_cuts_every_transport_and_keeps_its_queues() {
    let broker = FakeBroker::new();
    let (one, two) = (broker.transport(), broker.transport());
    let mut replies = listen(&two, &inbox()).await;
    let to = replies.address().clone();
    send(&one, &durable("q"), "kept").await;
    broker.faults().add(FaultRule::new(Fault::Kill));
    let error = fail(&one, &durable("q"), &plain()).await;
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Disconnected, Executed::Maybe));
    assert_eq!(poll(&mut replies, 1).await.unwrap_err().kind(), ErrorKind::Disconnected);

    let fresh = broker.transport();
    assert_eq!(broker.queue("q").unwrap().ready, 1);
    fresh.publish(&to, Message::new("r"), &mandatory()).await.unwrap();
    broker.faults().kill();
    assert_eq!(fail(&fresh, &durable("q"), &plain()).await.kind(), ErrorKind::Disconnected);
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_transport_continues_and_its_messages_are_redelivered() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listener = listen(&transport, &narrow(queue("q"), 2)).await;
    for text in ["a", "b", "c"] {
        send(&transport, &durable("q"), text).await;
    }
    let held = receive(&mut listener).await;
    broker.faults().interrupt();
    assert_eq!(transport.health().borrow().state, State::Ready);
    let error = held.acknowledge().await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Disconnected, Executed::Maybe));
    let again = some(&mut listener, 9).await;
    assert_eq!(bodies(&again), ["a", "b"], "the window is as wide as before");
    assert!(again.iter().all(|message| message.redelivered()));
    for message in again {
        message.acknowledge().await.unwrap();
    }
    let last = receive(&mut listener).await;
    assert!(!last.redelivered(), "it was never handed over");
    last.acknowledge().await.unwrap();
    listener.close(soon()).await.unwrap();
    broker.assert_idle();
}
