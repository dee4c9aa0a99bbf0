//! Connections, queues and consumers, as this library declares them.

use lapin::options::{
    BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
use load::Arguments;

use crate::guarantees::Guarantees;

/// The exchange of requests and events.
pub const EXCHANGE: &str = "openstack";

/// The milliseconds after which a private queue without a consumer goes away.
const EXPIRY: i64 = 1_800_000;

/// A connection with the heartbeat of the other programs. It lives as long as the process.
pub async fn connect(arguments: &Arguments) -> &'static Connection {
    let uri = format!("amqp://guest:guest@{}/%2f?heartbeat=10", arguments.broker());
    let connection = Connection::connect(&uri, ConnectionProperties::default()).await;
    Box::leak(Box::new(connection.expect("the broker is reachable")))
}

/// A channel to publish on.
pub async fn publishing(connection: &Connection, guarantees: Guarantees) -> Channel {
    let channel = connection.create_channel().await.expect("a channel opens");
    if guarantees.confirmed {
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("the broker confirms");
    }
    channel
}

/// The queue that the servers of a topic, or the listeners of events, share.
pub async fn shared_queue(channel: &Channel, name: &str) {
    let options = QueueDeclareOptions::default();
    channel.queue_declare(name.into(), options, FieldTable::default()).await.expect("the queue is declared");
    bind(channel, EXCHANGE, ExchangeKind::Topic, name, name).await;
}

/// A durable queue of this process alone, which expires.
pub async fn private_queue(channel: &Channel, name: &str) {
    let mut arguments = FieldTable::default();
    arguments.insert("x-expires".into(), AMQPValue::LongLongInt(EXPIRY));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.into(), options, arguments).await.expect("the queue is declared");
}

/// Binds `queue` to an exchange that is declared first.
pub async fn bind(channel: &Channel, exchange: &str, kind: ExchangeKind, queue: &str, key: &str) {
    let options = ExchangeDeclareOptions { auto_delete: kind == ExchangeKind::Fanout, ..Default::default() };
    channel.exchange_declare(exchange.into(), kind, options, FieldTable::default()).await.expect("it is declared");
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(queue.into(), exchange.into(), key.into(), options, none).await.expect("it is bound");
}

/// A consumer with a window of unacknowledged messages.
pub async fn consume(channel: &Channel, queue: &str, window: u16, guarantees: Guarantees) -> Consumer {
    channel.basic_qos(window, BasicQosOptions::default()).await.expect("the window is set");
    let options = BasicConsumeOptions { no_ack: !guarantees.acknowledged, ..BasicConsumeOptions::default() };
    channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await.expect("it is consumed")
}
