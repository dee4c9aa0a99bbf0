//! The limits of RabbitMQ on the properties and the size of a message.

use oslo_messaging::driver::Message;
use oslo_messaging::{Error, ErrorKind, Executed, Result};

use crate::names::{check_exchange, check_length, check_queue};
use crate::state::destination::{Destination, QueueDeclaration};

/// The most bytes of properties in one frame of RabbitMQ's default `frame_max`, 131072. Headers cannot be split over
/// frames; the 512 bytes are more than the rest of the frame takes.
const PROPERTIES: usize = 131_072 - 512;
/// What a header adds to its name and its value, in bytes: two lengths and a type.
const PER_HEADER: usize = 1 + 1 + 4;

/// Checks a publish before it has any effect: names, body and headers.
///
/// Fails with `TooLarge`, `Denied` or `Topology`, as a driver reports the refusal of
/// RabbitMQ. An empty queue name is refused too.
pub(crate) fn check_publish(to: &Destination, message: &Message, max_message_size: usize) -> Result<()> {
    const OPERATION: &str = "publish";
    check_exchange(&to.exchange, OPERATION)?;
    check_length("routing_key", &to.key, OPERATION)?;
    if to.queue != QueueDeclaration::None {
        check_queue(&to.key, OPERATION)?;
    }
    if message.body.len() > max_message_size {
        return Err(Error::new(ErrorKind::TooLarge, OPERATION)
            .with_executed(Executed::No)
            .with_context("bytes", message.body.len())
            .with_context("limit", max_message_size));
    }
    check_length("message_id", &message.id, OPERATION)?;
    check_headers(message, OPERATION)
}

/// Fails with `TooLarge` for a header name over 255 bytes, or for headers that do not fit into one frame.
///
/// The id counts as a part of the same frame.
fn check_headers(message: &Message, operation: &'static str) -> Result<()> {
    let mut bytes = message.id.len();
    for (name, value) in &message.headers {
        check_length("header_name", name, operation)?;
        bytes += name.len() + value.len() + PER_HEADER;
    }
    if bytes > PROPERTIES {
        return Err(Error::new(ErrorKind::TooLarge, operation)
            .with_executed(Executed::No)
            .with_context("header_bytes", bytes)
            .with_context("limit", PROPERTIES));
    }
    Ok(())
}
