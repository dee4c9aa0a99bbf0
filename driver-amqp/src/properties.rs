//! Converts messages to the AMQP properties that the reference writes, and received properties back.
//!
//! Bodies pass unchanged in both directions. The core has encoded and compressed them.

use std::time::Duration;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use oslo_messaging::driver::{CONTENT_ENCODING, CONTENT_TYPE, DeliveryCount, Headers, Message};
use oslo_messaging::{Error, ErrorKind, Executed, Result};

use crate::consume::session::Received;
use crate::short_string::check_name;

/// The longest expiration that every RabbitMQ accepts, in milliseconds:
/// 49 days. It closes the channel for a longer one.
///
/// A longer one is shortened, because a message that lives 49 days and one that lives longer hardly differ.
const LONGEST_EXPIRATION: u128 = u32::MAX as u128;
/// The bytes of a content header besides the headers: fixed fields, and an id of at most 255 bytes.
/// An upper bound, so that the check never passes a frame that is too large.
const BESIDE_HEADERS: usize = 512;
/// The header in which a quorum queue counts deliveries towards its limit.
/// On a first delivery the broker does not set it, so there it is whatever the publisher wrote.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// The size of the headers of `message` in their frame, which [`check_frame`] compares with the limit of a link.
/// Each entry has two lengths and a type besides its name and value: six bytes.
pub(crate) fn header_bytes(message: &Message) -> usize {
    message.headers.iter().map(|(name, value)| name.len() + value.len() + 6).sum()
}

/// Checks that headers of so many bytes fit into one frame of `frame_max`:
/// RabbitMQ closes the connection over a larger one.
///
/// Executed is `No`, and the error is not transient: the same message never fits.
///
/// Fails with [`TooLarge`](ErrorKind::TooLarge), which has both sizes in bytes.
pub(crate) fn check_frame(header_bytes: usize, frame_max: usize) -> Result<()> {
    let limit = frame_max.saturating_sub(BESIDE_HEADERS);
    if header_bytes <= limit {
        return Ok(());
    }
    let error = Error::new(ErrorKind::TooLarge, "publish").with_executed(Executed::No).with_context("what", "headers");
    Err(error.with_context("bytes", header_bytes).with_context("limit", limit))
}

/// Checks that the id and the names of the headers of `message` can be sent.
///
/// Fails with [`TooLarge`](ErrorKind::TooLarge) for an id or a header name over 255 bytes.
pub(crate) fn check(message: &Message) -> Result<()> {
    check_name("message_id", &message.id)?;
    message.headers.keys().try_for_each(|name| check_name("header", name))
}

/// The properties that the reference sets on every message (kombu `Producer.publish`),
/// and our `message_id`, of a message that [`check`] has passed.
///
/// They are content type and encoding, and priority 0.
/// The delivery mode is 2 if it is `persistent`, also for queues that are not durable, and otherwise 1.
/// The reference sets no message id. The expiration is in milliseconds, as text.
pub(crate) fn of(message: &Message, persistent: bool) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in &message.headers {
        headers.insert(name.as_str().into(), AMQPValue::LongString(value.as_str().into()));
    }
    let properties = BasicProperties::default()
        .with_content_type(CONTENT_TYPE.into())
        .with_content_encoding(CONTENT_ENCODING.into())
        // Kombu's default is 2. Our reply queues are durable, so the broker would write a reply before it confirms it.
        .with_delivery_mode(if persistent { 2 } else { 1 })
        .with_priority(0)
        .with_headers(headers)
        .with_message_id(message.id.as_str().into());
    match message.expiration {
        Some(expiration) => {
            let milliseconds = expiration.as_millis().min(LONGEST_EXPIRATION);
            properties.with_expiration(milliseconds.to_string().into())
        }
        None => properties,
    }
}

/// The received message. The broker drops it when it has failed more often
/// than `limit`. Headers that are not text are left out.
///
/// A missing id is empty, and an expiration that is no number is left out.
/// The delivery count is set only if the broker marked the message as redelivered.
pub(crate) fn message(received: Received, limit: Option<u64>) -> Message {
    let Received { queue, delivery, origin, at, undecodable } = received;
    let properties = &delivery.properties;
    let text = |value: &AMQPValue| match value {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    };
    let headers: Headers = properties
        .headers()
        .iter()
        .flat_map(FieldTable::inner)
        .filter(|(name, _)| name.as_str() != DELIVERY_COUNT)
        .filter_map(|(name, value)| Some((name.to_string(), text(value)?)))
        .collect();
    // On a first delivery the header is the publisher's own, see `DELIVERY_COUNT`.
    let failed = properties.headers().as_ref().filter(|_| delivery.redelivered).and_then(failed_deliveries);
    let id = properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default();
    let expiration = properties.expiration().as_ref().and_then(|text| text.as_str().parse().ok());
    let message = Message::received(id, Bytes::from(delivery.data)).with_queue(queue).with_received_at(at);
    let mut message = message.with_origin(origin);
    message.undecodable = undecodable.map(Into::into);
    message.headers = headers;
    message.expiration = expiration.map(Duration::from_millis);
    message.delivery_count = failed.map(|failed| DeliveryCount::new(failed, limit));
    message
}

/// Every integer type of AMQP counts. `None` if the header is missing, negative or of another type.
fn failed_deliveries(headers: &FieldTable) -> Option<u64> {
    match *headers.inner().get(DELIVERY_COUNT)? {
        AMQPValue::LongLongInt(count) => count.try_into().ok(),
        AMQPValue::LongInt(count) => count.try_into().ok(),
        AMQPValue::LongUInt(count) => Some(count.into()),
        AMQPValue::ShortInt(count) => count.try_into().ok(),
        AMQPValue::ShortUInt(count) => Some(count.into()),
        AMQPValue::ShortShortInt(count) => count.try_into().ok(),
        AMQPValue::ShortShortUInt(count) => Some(count.into()),
        _ => None,
    }
}
