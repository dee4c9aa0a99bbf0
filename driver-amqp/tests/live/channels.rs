//! The channels of a connection have numbers, and there are only so many.

use std::collections::BTreeMap;

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use oslo_messaging::ErrorKind;
use oslo_messaging::driver::{Source, Subscription, Transport};

use testkit::stage::{ARRIVE, BorrowedNode, Stage, publish, server, soon, subscribe, take, text, topic, within};

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

/// Those that are in use are not had back by making the connection again.
pub(crate) async fn a_limit_of_channels_in_use_is_reported_and_costs_no_open_channel() {
    let (_node, stage) = few_channels().await;
    let transport = stage.connect().await;
    let mut listeners = Vec::new();
    let refused = loop {
        let name = format!("used-{}", listeners.len());
        match transport.subscribe(&Subscription::new(Source::Queue { name }), soon()).await {
            Ok(listener) => listeners.push(listener),
            Err(error) => break error,
        }
    };
    assert_eq!((refused.kind(), refused.is_transient()), (ErrorKind::Config, false), "{refused}");
    // Each needed one for its declarations beside its own, and the last one's may not be closed yet.
    assert!((6..=7).contains(&listeners.len()), "{}", listeners.len());
    assert_eq!(transport.counters().losses, 0);
    for listener in listeners {
        listener.close(soon()).await.expect("a close");
    }
    transport.close(soon()).await.expect("a close");
}

/// A node that takes eight channels on a connection.
async fn few_channels() -> (BorrowedNode, Stage) {
    let (mut node, stage) = Stage::own().await;
    node.spoil();
    let few = "application:set_env(rabbit, channel_max, 8).";
    stage.control(move |stage| stage.node.rabbitmqctl(&["eval", few]).expect("it is set")).await;
    (node, stage)
}
