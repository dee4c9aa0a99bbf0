//! Routing, and the errors of messages without a queue.

use crate::support::*;
use oslo_messaging::driver::{Address, Capability, Exchange, Lifetime, Message, Source, Subscription, Transport};
use oslo_messaging::{ErrorKind, Executed};
use oslo_messaging_fake::FakeBroker;

#[tokio::test(start_paused = true)]
async fn a_topic_message_reaches_one_server_and_takes_turns() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut first = listen(&transport, &careless(server("h1"))).await;
    let mut second = listen(&transport, &careless(server("h2"))).await;
    for text in ["a", "b", "c", "d"] {
        send(&transport, &topic(), text).await;
    }
    assert_eq!(bodies(&some(&mut first, 9).await), ["a", "c"]);
    assert_eq!(bodies(&some(&mut second, 9).await), ["b", "d"]);
}

#[tokio::test(start_paused = true)]
async fn a_named_server_gets_what_is_sent_to_it_alone() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut first = listen(&transport, &careless(server("h1"))).await;
    let mut second = listen(&transport, &careless(server("h2"))).await;
    let to_second = second.address().clone();
    send(&transport, &to_second, "x").await;
    assert_eq!(&*receive(&mut second).await.message().queue.clone().unwrap(), "compute.h2");
    expect_silence(&mut first).await;
}

#[tokio::test(start_paused = true)]
async fn a_fanout_reaches_every_server_once() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let mut listeners = Vec::new();
    for name in ["h1", "h2", "h3"] {
        listeners.push(listen(&transport, &careless(server(name))).await);
    }
    send(&transport, &fanout(), "x").await;
    for listener in &mut listeners {
        assert_eq!(bodies(&some(listener, 9).await), ["x"]);
    }
    assert_eq!(broker.counters().delivered, 3);
}

#[tokio::test(start_paused = true)]
async fn a_fanout_without_servers_succeeds() {
    let broker = FakeBroker::new();
    send(&broker.transport(), &fanout(), "x").await;
    assert!(broker.leftovers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_fanout_exchange_goes_with_its_last_queue() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let first = listen(&transport, &careless(server("h1"))).await;
    let second = listen(&transport, &careless(server("h2"))).await;
    let exists = || broker.exchanges().iter().any(|exchange| exchange.name == "compute_fanout");
    first.close(soon()).await.unwrap();
    assert!(exists());
    second.close(soon()).await.unwrap();
    assert!(!exists());
}

#[tokio::test(start_paused = true)]
async fn a_mandatory_message_without_a_queue_is_returned_with_its_address() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let direct = Address::Direct { queue: "reply_gone".into() };
    for to in [topic(), fanout(), info(), direct] {
        let error = fail(&transport, &to, &mandatory()).await;
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Undeliverable, Executed::No));
        let facts: Vec<_> = error.context().map(|(key, value)| (key, value.to_owned())).collect();
        assert_eq!(facts, [("exchange", to.exchange().name), ("routing_key", to.routing_key())]);
    }
    assert_eq!(broker.counters().returned, 4);
}

#[tokio::test(start_paused = true)]
async fn an_inbox_is_reached_by_its_address_from_another_transport() {
    let broker = FakeBroker::new();
    let requester = broker.transport();
    let mut replies = listen(&requester, &inbox()).await;
    let to = replies.address().clone();
    broker.transport().publish(&to, Message::new("r"), &mandatory()).await.unwrap();
    assert_eq!(body(&*receive(&mut replies).await), "r");
}

#[tokio::test(start_paused = true)]
async fn a_notification_queue_can_be_made_by_its_publisher() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let ensured = mandatory().ensure_queue();
    transport.publish(&info(), Message::new("kept"), &ensured).await.unwrap();
    let source = Source::Notifications { addresses: vec![info()], pool: None };
    let mut listener = listen(&transport, &Subscription::new(source)).await;
    assert_eq!(body(&*receive(&mut listener).await), "kept");
}

#[tokio::test(start_paused = true)]
async fn each_pool_gets_its_copy_and_its_members_share_it() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let pool =
        |name: &str| Subscription::new(Source::Notifications { addresses: vec![info()], pool: Some(name.to_owned()) });
    let mut audit = listen(&transport, &careless(pool("audit"))).await;
    let mut other_audit = listen(&transport, &careless(pool("audit"))).await;
    let mut billing = listen(&transport, &careless(pool("billing"))).await;
    send(&transport, &info(), "a").await;
    send(&transport, &info(), "b").await;
    assert_eq!(bodies(&some(&mut billing, 9).await), ["a", "b"]);
    assert_eq!(bodies(&some(&mut audit, 9).await), ["a"]);
    assert_eq!(bodies(&some(&mut other_audit, 9).await), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_published_to_a_durable_queue_waits_for_its_reader() {
    let broker = FakeBroker::new();
    send(&broker.transport(), &durable("q.dead"), "x").await;
    let transport = broker.transport();
    let mut listener = listen(&transport, &queue("q.dead")).await;
    assert_eq!(body(&*receive(&mut listener).await), "x");
}

#[tokio::test(start_paused = true)]
async fn names_and_bodies_over_the_limits_are_too_large() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let long = "é".repeat(128);
    for to in [
        Address::Topic { exchange: long.clone(), topic: "t".into() },
        Address::Topic { exchange: "e".into(), topic: long.clone() },
        Address::Fanout { topic: "t".repeat(249) },
        Address::Direct { queue: long.clone() },
        durable(&long),
    ] {
        assert_eq!(fail(&transport, &to, &plain()).await.kind(), ErrorKind::TooLarge, "{to}");
    }
    let big = Message::new(vec![0; 16 * 1024 * 1024 + 1]);
    let error = transport.publish(&durable("q"), big, &plain()).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::TooLarge, Executed::No));
    let header = Message::new("x").with_header("h", "v".repeat(140_000));
    assert_eq!(transport.publish(&durable("q"), header, &plain()).await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(transport.subscribe(&queue(&long), soon()).await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert!(broker.queues().is_empty() && broker.exchanges().is_empty());
}

#[tokio::test(start_paused = true)]
async fn reserved_names_are_denied() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    for to in [
        durable("amq.mine"),
        Address::Fanout { topic: "amq.x".into() },
        Address::Topic { exchange: "amq.topic".into(), topic: "t".into() },
        Address::Topic { exchange: String::new(), topic: "t".into() },
    ] {
        assert_eq!(fail(&transport, &to, &plain()).await.kind(), ErrorKind::Denied, "{to}");
    }
    assert_eq!(transport.subscribe(&queue("amq.x"), soon()).await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(transport.subscribe(&queue(""), soon()).await.unwrap_err().kind(), ErrorKind::Topology);
}

#[tokio::test(start_paused = true)]
async fn an_exchange_of_another_kind_is_a_topology_error() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    broker.declare_exchange(&Exchange::topic("compute_fanout")).unwrap();
    assert_eq!(fail(&transport, &fanout(), &plain()).await.kind(), ErrorKind::Topology);
    assert_eq!(transport.subscribe(&server("h"), soon()).await.unwrap_err().kind(), ErrorKind::Topology);
}

#[tokio::test(start_paused = true)]
async fn an_exclusive_queue_accepts_messages_but_no_declaration() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    broker.declare_exclusive_queue("theirs").unwrap();
    assert_eq!(fail(&transport, &durable("theirs"), &plain()).await.kind(), ErrorKind::Topology);
    assert_eq!(transport.subscribe(&queue("theirs"), soon()).await.unwrap_err().kind(), ErrorKind::Topology);
    let direct = Address::Direct { queue: "theirs".into() };
    transport.publish(&direct, Message::new("x"), &mandatory()).await.unwrap();
    assert_eq!(broker.queue("theirs").unwrap().ready, 1);
}

#[tokio::test(start_paused = true)]
async fn a_different_queue_is_adopted_and_reported_in_health() {
    let broker = FakeBroker::new();
    let transport = broker.transport();
    let replies = listen(&transport, &inbox()).await;
    let Address::Direct { queue: name } = replies.address().clone() else { panic!("an inbox is a queue") };
    let reader = broker.transport();
    let second = listen(&reader, &queue(&name)).await;
    assert_eq!(reader.health().borrow().drift.len(), 1);
    second.close(soon()).await.unwrap();
    assert_eq!(broker.queue(&name).unwrap().lifetime, Lifetime::Private);
}

#[tokio::test]
async fn a_named_broker_is_shared_while_a_handle_exists() {
    let one = FakeBroker::named("a_named_broker_is_shared");
    send(&one.transport(), &durable("q"), "x").await;
    assert_eq!(FakeBroker::named("a_named_broker_is_shared").queues().len(), 1);
    assert!(FakeBroker::named("another").queues().is_empty());
    drop(one);
    assert!(FakeBroker::named("a_named_broker_is_shared").queues().is_empty());
}

#[tokio::test]
async fn every_capability_is_declared() {
    let capabilities = FakeBroker::new().transport().capabilities();
    assert_eq!(capabilities.iter().count(), 10);
    assert!(capabilities.has(Capability::Confirms));
}

#[tokio::test]
async fn a_broker_prints_its_queues() {
    let broker = FakeBroker::new();
    send(&broker.transport(), &durable("jobs"), "x").await;
    let printed = broker.to_string();
    let row: Vec<_> = printed.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["jobs", "1", "0", "0", "shared"]);
}
