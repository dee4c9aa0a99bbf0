//! The limits of AMQP and of RabbitMQ on names and sizes. Pure.

use oslo_messaging::{Error, ErrorKind, Exchange, ExchangeKind, Message, QueuePlan, Result};

use crate::state::destination::{Destination, QueueDeclaration};

/// The most bytes an AMQP short string holds, and with it every name and key.
const SHORT_STRING: usize = 255;
/// The most bytes of properties in one frame of RabbitMQ's default `frame_max` (131072). Headers cannot be split; what
/// else lies in the frame takes less than the slack.
const PROPERTIES: usize = 131_072 - 512;
/// What a header costs beside its name and its value: two lengths and a type.
const PER_HEADER: usize = 1 + 1 + 4;
/// The start of the names that the broker keeps for itself.
const RESERVED: &str = "amq.";

/// Checks a publish, before anything of it is done.
pub(crate) fn check_publish(to: &Destination, message: &Message, max_message_size: usize) -> Result<()> {
    const OPERATION: &str = "publish";
    check_exchange(&to.exchange, OPERATION)?;
    check_length("routing key", &to.key, OPERATION)?;
    if to.queue != QueueDeclaration::None {
        check_queue(&to.key, OPERATION)?;
    }
    if message.body.len() > max_message_size {
        return Err(Error::new(ErrorKind::TooLarge, OPERATION)
            .with("bytes", message.body.len())
            .with("limit", max_message_size));
    }
    check_length("message id", &message.id, OPERATION)?;
    check_headers(message, OPERATION)
}

/// Checks the names of one queue of a subscription.
pub(crate) fn check_plan(plan: &QueuePlan) -> Result<()> {
    const OPERATION: &str = "subscribe";
    for binding in &plan.bindings {
        check_exchange(&binding.exchange, OPERATION)?;
        check_length("routing key", &binding.routing_key, OPERATION)?;
    }
    check_queue(&plan.name, OPERATION)
}

fn check_exchange(exchange: &Exchange, operation: &'static str) -> Result<()> {
    if exchange.kind == ExchangeKind::Default {
        return Ok(());
    }
    check_length("exchange", &exchange.name, operation)?;
    if exchange.name.is_empty() || exchange.name.starts_with(RESERVED) {
        return Err(Error::new(ErrorKind::Denied, operation).with("reserved exchange", format!("{:?}", exchange.name)));
    }
    Ok(())
}

fn check_queue(name: &str, operation: &'static str) -> Result<()> {
    check_length("queue", name, operation)?;
    if name.is_empty() {
        // RabbitMQ would invent a name, under which nobody could reach the queue.
        return Err(Error::new(ErrorKind::Topology, operation).with("queue", "a queue needs a name"));
    }
    if name.starts_with(RESERVED) {
        return Err(Error::new(ErrorKind::Denied, operation).with("reserved queue", name));
    }
    Ok(())
}

fn check_headers(message: &Message, operation: &'static str) -> Result<()> {
    let mut bytes = message.id.len();
    for (name, value) in &message.headers {
        check_length("header name", name, operation)?;
        bytes += name.len() + value.len() + PER_HEADER;
    }
    if bytes > PROPERTIES {
        return Err(Error::new(ErrorKind::TooLarge, operation).with("header bytes", bytes).with("limit", PROPERTIES));
    }
    Ok(())
}

fn check_length(what: &'static str, name: &str, operation: &'static str) -> Result<()> {
    if name.len() <= SHORT_STRING {
        return Ok(());
    }
    let start: String = name.chars().take(40).collect();
    Err(Error::new(ErrorKind::TooLarge, operation)
        .with(what, format!("{start}…"))
        .with("bytes", name.len())
        .with("limit", SHORT_STRING))
}
