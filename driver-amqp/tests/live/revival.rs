//! A listener that loses its queue or its channel comes back, and no other listener notices.

use futures_util::future::poll_immediate;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use oslo_messaging::driver::{Address, Settle, Source, Subscription, Transport};
use oslo_messaging::{ErrorKind, State};
use tokio::time::timeout;

use crate::traffic::a_hundred;
use testkit::stage::{
    ARRIVE, Stage, all, assert_quiet, back, fanout, only, publish, refusal, server, subscribe, take, text, texts,
    topic, until, within,
};

pub(crate) async fn a_queue_deleted_under_its_consumer_is_made_again_and_the_others_do_not_notice() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let mut listener = subscribe(&transport, &server("cut")).await;
    let own = Address::Server { exchange: "x-cut".into(), topic: "cut".into(), server: "host-1".into() };
    publish(&transport, &own, "held").await.expect("a publish");
    let held = take(listener.as_mut(), 1).await.remove(0);
    for times in 1..=3 {
        delete(&stage, "cut").await;
        let revived = async {
            until("the consumer to be back", async || transport.counters().recoveries == times).await;
            publish(&transport, &topic("cut"), "again").await.expect("a publish");
        };
        let ((), again) = tokio::join!(revived, take(listener.as_mut(), 1));
        assert_eq!(texts(&again), ["again"]);
        for message in again {
            message.acknowledge().await.expect("an acknowledgement");
        }
    }
    // It is the same channel: what was handed over before is settled on it.
    held.acknowledge().await.expect("it is still ours");
    a_hundred(&transport, &own, listener.as_mut()).await;
    let counters = transport.counters();
    assert_eq!((counters.losses, counters.settlements_dropped), (0, 0));
}

pub(crate) async fn an_inbox_whose_queue_is_deleted_has_it_back_under_its_name() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let mut inbox = subscribe(&transport, &Subscription::new(Source::Inbox)).await;
    let to = inbox.address().clone();
    a_hundred(&transport, &to, inbox.as_mut()).await;
    delete(&stage, &to.routing_key()).await;
    let revived = until("the inbox to be back", async || transport.counters().recoveries == 1);
    tokio::select! {
        polled = inbox.poll(all()) => panic!("nothing was sent, and {polled:?} came"),
        () = revived => {}
    }
    assert_eq!(inbox.address(), &to);
    a_hundred(&transport, &to, inbox.as_mut()).await;
}

/// Another connection declared the name first, exclusively.
pub(crate) async fn an_inbox_that_cannot_come_back_ends_and_another_private_queue_takes_a_new_name() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let mut inbox = subscribe(&transport, &Subscription::new(Source::Inbox)).await;
    let mut reader = subscribe(&transport, &server("renamed")).await;
    let names = stage.queue_names().await;
    let shares = names.into_iter().find(|name| name.starts_with("renamed_fanout_")).expect("its share of the fanout");
    let thief = stage.bare().await;
    steal(&thief, &inbox.address().routing_key()).await;
    let error = refusal(within(ARRIVE, "the end", inbox.poll(all())).await);
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Topology, false), "{error}");
    assert_eq!(refusal(inbox.poll(all()).await).kind(), ErrorKind::Topology, "and it stays so");

    steal(&thief, &shares).await;
    let revived = until("the reader to be back", async || transport.counters().recoveries == 1);
    tokio::select! {
        polled = reader.poll(all()) => panic!("nothing was sent, and {polled:?} came"),
        () = revived => {}
    }
    publish(&transport, &fanout("renamed"), "to all").await.expect("a publish");
    assert_eq!(texts(&take(reader.as_mut(), 1).await), ["to all"]);
    let renamed = stage.queue_names().await;
    let new = renamed.iter().filter(|name| name.starts_with("renamed_fanout_") && **name != shares).count();
    assert_eq!(new, 1, "{renamed:?}");
    assert_eq!(transport.health().borrow().state, State::Ready);
}

/// A queue that cannot be declared any more is seen, and tried again until it is mended.
pub(crate) async fn a_shared_queue_that_cannot_come_back_is_an_alarm_until_it_can() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let mut listener = subscribe(&transport, &server("locked")).await;
    let thief = stage.bare().await;
    steal(&thief, "locked").await;
    let mut health = transport.health();
    let alarm = async {
        let lost = |reason: &str| reason.contains("RESOURCE_LOCKED") && reason.contains("locked");
        let seen = health.wait_for(|health| matches!(&health.state, State::Lost { reason } if lost(reason)));
        within(ARRIVE, "the alarm", seen).await.expect("a state");
        release(&thief).await;
        until("the listener to be back", async || transport.counters().recoveries == 1).await;
    };
    tokio::select! {
        polled = listener.poll(all()) => panic!("nothing was sent, and {polled:?} came"),
        () = alarm => {}
    }
    let ready = health.wait_for(|health| health.state == State::Ready);
    within(ARRIVE, "the end of the alarm", ready).await.expect("a state");
    a_hundred(&transport, &topic("locked"), listener.as_mut()).await;
}

/// The loss of one queue of a listener does not affect its other queues.
pub(crate) async fn a_consumer_that_cannot_come_back_keeps_no_other_waiting() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let mut listener = subscribe(&transport, &server("stuck")).await;
    let names = stage.queue_names().await;
    let shares = names.into_iter().find(|name| name.starts_with("stuck_fanout_")).expect("its share of the fanout");
    let thief = stage.bare().await;
    steal(&thief, "stuck").await;
    let mut health = transport.health();
    let breaking = async {
        let seen = health.wait_for(|health| matches!(health.state, State::Lost { .. }));
        within(ARRIVE, "the alarm", seen).await.expect("a state");
        delete(&stage, &shares).await;
        until("the other consumer to be back", async || transport.counters().recoveries == 1).await;
        publish(&transport, &fanout("stuck"), "to all").await.expect("a publish");
    };
    let ((), arrived) = tokio::join!(breaking, take(listener.as_mut(), 1));
    assert_eq!(texts(&arrived), ["to all"]);
    let is_reported = |state: &State| matches!(state, State::Lost { reason } if reason.contains("RESOURCE_LOCKED"));
    assert!(is_reported(&transport.health().borrow().state), "one is still lost: {:?}", transport.health().borrow());
    for message in arrived {
        message.acknowledge().await.expect("it is the same channel");
    }
    let mending = async {
        release(&thief).await;
        until("the consumer to be back", async || transport.counters().recoveries == 2).await;
    };
    tokio::select! {
        polled = listener.poll(all()) => panic!("nothing was sent, and {polled:?} came"),
        () = mending => {}
    }
    assert_eq!(transport.health().borrow().state, State::Ready);
    a_hundred(&transport, &topic("stuck"), listener.as_mut()).await;
    assert_eq!(transport.counters().losses, 0);
}

/// The broker gives up on a consumer that settles nothing; its channel goes, and the connection stays.
pub(crate) async fn a_channel_that_the_broker_closes_is_opened_again_on_the_same_connection() {
    let (mut node, stage) = Stage::own().await;
    node.spoil();
    let impatient =
        "application:set_env(rabbit, consumer_timeout, 3000), application:set_env(rabbit, channel_tick_interval, 500).";
    stage.control(move |stage| stage.node.rabbitmqctl(&["eval", impatient]).expect("it is set")).await;
    let transport = stage.connect().await;
    let mut listener = subscribe(&transport, &server("slow")).await;
    publish(&transport, &topic("slow"), "held").await.expect("a publish");
    let held = take(listener.as_mut(), 1).await.remove(0);
    let again = take(listener.as_mut(), 1).await.remove(0);
    assert!(again.redelivered());
    assert_eq!(text(again.as_ref()), "held");
    assert_eq!(refusal(held.acknowledge().await).kind(), ErrorKind::Disconnected);
    again.acknowledge().await.expect("this one is ours");
    // None of them lies so long as to try the broker's patience.
    for number in 0..20 {
        publish(&transport, &topic("slow"), &number.to_string()).await.expect("a publish");
        let message = take(listener.as_mut(), 1).await.remove(0);
        assert_eq!(text(message.as_ref()), number.to_string());
        message.acknowledge().await.expect("an acknowledgement");
    }
    assert_eq!(transport.counters().losses, 0);
}

/// The broker requeues what the receiver has not settled: messages in hand cannot be settled, and messages that wait in the
/// listener are not handed over.
pub(crate) async fn nothing_of_a_lost_connection_is_settled_or_handed_over() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let mut listener = subscribe(&transport, &server("old")).await;
    let bodies: Vec<String> = (0..5).map(|number| number.to_string()).collect();
    for body in &bodies {
        publish(&transport, &topic("old"), body).await.expect("a publish");
    }
    until("all to be here", async || count(&stage, "messages_ready").await == 0).await;
    let mut held = Vec::new();
    while held.len() < 2 {
        held.extend(listener.poll(only(1)).await.expect("messages").expect("not the end"));
    }
    assert_eq!(texts(&held), bodies[..2]);
    stage.close_connections("again").await;
    back(&transport, 1).await;
    for message in held {
        let error = refusal(message.acknowledge().await);
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    }
    let again = take(listener.as_mut(), 5).await;
    assert_eq!(texts(&again), bodies);
    assert!(again.iter().all(|message| message.redelivered()));
    assert_eq!(transport.counters().deliveries_dropped, 3);
    until("both settlements to be dropped", async || transport.counters().settlements_dropped >= 2).await;
    assert_eq!(transport.counters().settlements_dropped, 2);
    for message in again {
        message.acknowledge().await.expect("an acknowledgement");
    }
    assert_quiet(listener.as_mut()).await;
}

/// The messages of three consumers waited, and the loss of the first counts them.
pub(crate) async fn what_any_queue_had_ready_when_the_channel_went_is_counted() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let mut listener = subscribe(&transport, &server("each")).await;
    let own = Address::Server { exchange: "x-each".into(), topic: "each".into(), server: "host-1".into() };
    for to in [topic("each"), own, fanout("each")] {
        for _ in 0..2 {
            publish(&transport, &to, "lost").await.expect("a publish");
        }
    }
    until("all to be here", async || {
        (count(&stage, "messages_ready").await, count(&stage, "messages_unacknowledged").await) == (0, 6)
    })
    .await;
    stage.close_connections("again").await;
    back(&transport, 1).await;
    let again = take(listener.as_mut(), 6).await;
    assert!(again.iter().all(|message| message.redelivered()));
    assert_eq!(transport.counters().deliveries_dropped, 6);
}

/// What was acknowledged on the wire is handed over whatever becomes of the connection: the broker has forgotten it.
pub(crate) async fn what_was_acknowledged_and_not_handed_over_survives_the_connection() {
    let stage = Stage::shared().await;
    let transport = stage.connect().await;
    let mut listener = subscribe(&transport, &server("new").with_settle(Settle::BeforeHandover)).await;
    for body in ["one", "two"] {
        publish(&transport, &topic("new"), body).await.expect("a publish");
    }
    // Polls that end at once, until one has asked for the acknowledgement of the first.
    let mut handed = Vec::new();
    let asking = async {
        while transport.counters().handover_acknowledgements == 0 {
            if let Some(polled) = poll_immediate(listener.poll(only(1))).await {
                handed.extend(polled.expect("messages").expect("not the end"));
            }
            tokio::task::yield_now().await;
        }
    };
    within(ARRIVE, "an acknowledgement", asking).await;
    until("the broker to have it", async || count(&stage, "messages").await <= 1).await;
    stage.close_connections("now").await;
    back(&transport, 1).await;
    while handed.len() < 2 {
        handed.extend(listener.poll(only(1)).await.expect("messages").expect("not the end"));
    }
    assert_eq!(texts(&handed), ["one", "two"]);
    assert!(!handed[0].redelivered() && handed[1].redelivered());
    assert_quiet(listener.as_mut()).await;
}

/// The sum over all queues.
async fn count(stage: &Stage, column: &'static str) -> u32 {
    let list =
        move |stage: &Stage| stage.node.rabbitmqctl(&["list_queues", "-p", &stage.vhost, column]).expect("a list");
    stage.control(list).await.lines().filter_map(|line| line.trim().parse::<u32>().ok()).sum()
}

async fn delete(stage: &Stage, queue: &str) {
    let queue = queue.to_owned();
    let delete = move |stage: &Stage| {
        stage.node.rabbitmqctl(&["delete_queue", "-p", &stage.vhost, &queue]).expect("it is deleted");
    };
    stage.control(delete).await;
}

/// Deletes a queue and takes its name, until that is done before the listener declares it again.
async fn steal(thief: &lapin::Connection, queue: &str) {
    let stealing = async {
        loop {
            let channel = thief.create_channel().await.expect("a channel");
            let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
            let deleting = channel.queue_delete(queue.into(), QueueDeleteOptions::default());
            let declaring = channel.queue_declare(queue.into(), exclusive, FieldTable::default());
            let (deleted, declared) = tokio::join!(deleting, declaring);
            deleted.expect("it is deleted");
            if declared.is_ok() {
                return;
            }
        }
    };
    within(ARRIVE, "stealing", stealing).await;
}

/// Gives every name back: the broker hears it, whether or not lapin says so.
async fn release(thief: &lapin::Connection) {
    let _ = timeout(ARRIVE, thief.close(200, "enough".into())).await;
}
