//! The channels of a connection have numbers, and there are only so many.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use oslo_messaging::ErrorKind;
use oslo_messaging::driver::{Address, Listener, Source, Subscription, Transport};
use oslo_messaging_amqp::AmqpTransport;

use crate::broker_limits::limit_vhost;
use testkit::stage::{
    ARRIVE, BorrowedNode, Stage, back, publish, refusal, server, soon, subscribe, take, text, topic, unique, until,
    within,
};

/// How many listeners a connection of eight channels takes.
const LISTENERS: usize = 6;

/// lapin keeps the broker's last words about a channel for the next one of its number. Here each listener costs a channel or
/// two, since its queue exists in another form.
pub(crate) async fn a_channel_number_that_the_broker_has_closed_blocks_no_other() {
    let (_node, stage) = few_channels().await;
    let bare = stage.bare().await;
    let channel = within(ARRIVE, "a channel", bare.create_channel()).await.expect("a channel");
    let limit = FieldTable::from(BTreeMap::from([("x-max-length".into(), AMQPValue::LongInt(100))]));
    let declaring = channel.queue_declare("worn".into(), QueueDeclareOptions::durable(), limit);
    within(ARRIVE, "a queue", declaring).await.expect("a queue");
    let transport = stage.connect().await;
    for number in 0..20 {
        let mut listener = subscribe(&transport, &server("worn")).await;
        publish(&transport, &topic("worn"), &number.to_string()).await.expect("a publish");
        let message = take(listener.as_mut(), 1).await.remove(0);
        assert_eq!(text(message.as_ref()), number.to_string());
        message.acknowledge().await.expect("an acknowledgement");
        listener.close(soon()).await.expect("a close");
    }
    assert!(transport.counters().losses > 0, "the numbers of one connection are not enough");
    transport.close(soon()).await.expect("a close");
}

/// The listeners of a connection leave two channels for declarations.
pub(crate) async fn listeners_beyond_the_channels_of_a_connection_get_another() {
    let (_node, stage) = few_channels().await;
    let transport = stage.connect().await;
    let mut listeners = start_together(&transport, 40).await;
    assert_eq!(stage.connections().await.len(), 1 + 40_usize.div_ceil(LISTENERS));
    each_reads_its_queue(&transport, &mut listeners, "first").await;
    stage.close_connections("all of them").await;
    back(&transport, 1).await;
    each_reads_its_queue(&transport, &mut listeners, "after a loss").await;
    for (_, listener) in listeners {
        listener.close(soon()).await.expect("a close");
    }
    transport.close(soon()).await.expect("a close");
    until("the connections to end", async || stage.connections().await.is_empty()).await;
}

/// The consuming connections of a link are lost together.
pub(crate) async fn the_loss_of_a_later_connection_is_the_loss_of_the_link() {
    let (_node, stage) = few_channels().await;
    let transport = stage.connect().await;
    let mut listeners = start_together(&transport, LISTENERS).await;
    let before = stage.connections().await;
    listeners.extend(start_together(&transport, 1).await);
    let mut later = stage.connections().await;
    later.retain(|connection| !before.contains(connection));
    let [later] = later.as_slice() else { panic!("one connection was opened, not {later:?}") };
    let close = [String::from("close_connection"), later.clone(), "only this one".into()];
    let control = move |stage: &Stage| stage.node.rabbitmqctl(&close.each_ref().map(String::as_str)).map(drop);
    stage.control(control).await.expect("it is closed");
    back(&transport, 1).await;
    each_reads_its_queue(&transport, &mut listeners, "after a loss").await;
    assert_eq!(transport.counters().losses, 1);
    transport.close(soon()).await.expect("a close");
}

/// It does not take the channels that are kept for declarations.
pub(crate) async fn a_listener_for_which_no_connection_can_be_opened_is_refused_and_costs_no_other() {
    let (_node, stage) = few_channels().await;
    let transport = stage.connect().await;
    let mut listeners = start_together(&transport, LISTENERS).await;
    limit_vhost(&stage, r#"{"max-connections": 2}"#).await;
    let one_more = Subscription::new(Source::Queue { name: unique("refused") });
    let refused = refusal(transport.subscribe(&one_more, soon()).await);
    assert_eq!((refused.kind(), refused.is_transient()), (ErrorKind::Refused, true), "{refused}");
    assert!(refused.to_string().contains("connection limit (2) is reached"), "{refused}");
    each_reads_its_queue(&transport, &mut listeners, "all the same").await;
    assert_eq!(transport.counters().losses, 0);
    transport.close(soon()).await.expect("a close");
}

/// Listeners that subscribe at the same time, with the names of their queues.
async fn start_together(transport: &AmqpTransport, count: usize) -> Vec<(String, Box<dyn Listener>)> {
    let starting = (0..count).map(|_| async {
        let name = unique("many");
        let subscription = Subscription::new(Source::Queue { name: name.clone() });
        (name, subscribe(transport, &subscription).await)
    });
    join_all(starting).await
}

async fn each_reads_its_queue(transport: &AmqpTransport, listeners: &mut [(String, Box<dyn Listener>)], body: &str) {
    for (name, listener) in listeners {
        let to = Address::Direct { queue: name.clone() };
        publish(transport, &to, body).await.expect("a publish");
        let message = take(listener.as_mut(), 1).await.remove(0);
        assert_eq!(text(message.as_ref()), body, "{name}");
        message.acknowledge().await.expect("an acknowledgement");
    }
}

/// A node that takes eight channels on a connection.
async fn few_channels() -> (BorrowedNode, Stage) {
    let (mut node, stage) = Stage::own().await;
    node.spoil();
    let few = "application:set_env(rabbit, channel_max, 8).";
    stage.control(move |stage| stage.node.rabbitmqctl(&["eval", few]).expect("it is set")).await;
    (node, stage)
}
