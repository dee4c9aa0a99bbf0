//! The properties of a message on the wire, as a bare client reads them.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use oslo_messaging::driver::{Address, Message, PublishOptions, Transport};
use oslo_messaging_amqp::AmqpConfig;

use testkit::stage::{Stage, options};

pub(crate) async fn they_are_the_reference_s_and_an_id() {
    let plain = on_the_wire(Message::new("{}").with_id("an-id")).await;
    assert_eq!(plain, reference().with_message_id("an-id".into()));
}

/// A reply waits in the queue of its caller for as long as a connection takes to come back, and its caller for no longer
/// than its timeout.
pub(crate) async fn replies_are_written_to_the_disk_where_shared_queues_are_durable() {
    let mode = async |config| mode_by_name(config, options().mandatory().reply()).await;
    let unwritten = [AmqpConfig::default(), AmqpConfig::durable().with_persistent_replies(false)];
    let written = [
        AmqpConfig::durable(),
        AmqpConfig::default().with_quorum_queues(true),
        AmqpConfig::default().with_persistent_replies(true),
    ];
    for config in unwritten {
        assert_eq!(mode(config).await, Some(1));
    }
    for config in written {
        assert_eq!(mode(config).await, Some(2));
    }
}

/// Such as an event that goes back to its queue: it was confirmed, so a restart of the broker must not lose it.
pub(crate) async fn what_is_no_reply_is_written_to_the_disk_also_by_the_name_of_its_queue() {
    for config in [AmqpConfig::default(), AmqpConfig::durable().with_persistent_replies(false)] {
        assert_eq!(mode_by_name(config, options().mandatory()).await, Some(2));
    }
}

pub(crate) async fn headers_and_expiration_travel_as_the_reference_writes_them() {
    let message = Message::new("{}").with_id("i").with_header("ćolour", "réd").with_expiration(Duration::from_secs(60));
    let mut headers = FieldTable::default();
    headers.insert("ćolour".into(), AMQPValue::LongString("réd".into()));
    let expected = reference().with_message_id("i".into()).with_headers(headers).with_expiration("60000".into());
    assert_eq!(on_the_wire(message).await, expected);
}

pub(crate) async fn an_expiration_longer_than_the_broker_takes_is_its_longest() {
    let forever = Message::new("{}").with_expiration(Duration::from_secs(400 * 24 * 3_600));
    let expiration = on_the_wire(forever).await.expiration().clone();
    assert_eq!(expiration.expect("an expiration").as_str(), "4294967295");
}

/// What oslo.messaging 18.3.1 sets, as kombu writes it.
fn reference() -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_delivery_mode(2)
        .with_priority(0)
        .with_headers(FieldTable::default())
}

/// The properties of `message`, published by its queue's name.
async fn on_the_wire(message: Message) -> BasicProperties {
    let to = Address::Queue { name: "bare".into() };
    read(AmqpConfig::default(), &to, message, options().mandatory()).await
}

/// The delivery mode of a message that is published by the name of its queue.
async fn mode_by_name(config: AmqpConfig, options: PublishOptions) -> Option<u8> {
    let to = Address::Direct { queue: "bare".into() };
    *read(config, &to, Message::new("{}"), options).await.delivery_mode()
}

/// The properties of `message`, published to `to`, which is the queue `bare`.
async fn read(config: AmqpConfig, to: &Address, message: Message, options: PublishOptions) -> BasicProperties {
    let stage = Stage::shared().await;
    let transport = stage.connect_with(config).await;
    let bare = stage.bare().await;
    let channel = bare.create_channel().await.expect("a channel");
    channel.queue_declare("bare".into(), QueueDeclareOptions::durable(), FieldTable::default()).await.expect("a queue");
    transport.publish(to, message, &options).await.expect("a publish");
    let got = channel.basic_get("bare".into(), BasicGetOptions::default()).await.expect("an answer");
    got.expect("a message").delivery.properties
}
