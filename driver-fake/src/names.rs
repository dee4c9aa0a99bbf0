//! The limits of AMQP on names: at most 255 bytes, and not reserved.

use oslo_messaging::driver::{Exchange, ExchangeKind, QueuePlan};
use oslo_messaging::{Error, ErrorKind, Executed, Result};

/// The longest AMQP short string, in bytes: every name and routing key is one.
///
/// AMQP 0-9-1, section 4.2.5.3: the length is one octet.
const SHORT_STRING: usize = 255;
/// The prefix of the names that the broker reserves for itself.
///
/// RabbitMQ answers 403, which drivers report as `Denied`.
const RESERVED: &str = "amq.";

/// Checks the queue of a subscription's plan, and the exchange and routing key of each of its bindings.
///
/// Fails with `TooLarge` for a long name, `Denied` for a reserved one, and `Topology` for a queue without a name.
pub(crate) fn check_plan(plan: &QueuePlan) -> Result<()> {
    const OPERATION: &str = "subscribe";
    for binding in &plan.bindings {
        check_exchange(&binding.exchange, OPERATION)?;
        check_length("routing_key", &binding.routing_key, OPERATION)?;
    }
    check_queue(&plan.name, OPERATION)
}

/// Checks the name of an exchange. The default exchange has none.
///
/// Fails with `TooLarge` over 255 bytes, and with `Denied` for an empty name or one that begins with `amq.`.
pub(crate) fn check_exchange(exchange: &Exchange, operation: &'static str) -> Result<()> {
    if exchange.kind == ExchangeKind::Default {
        return Ok(());
    }
    check_length("exchange", &exchange.name, operation)?;
    if exchange.name.is_empty() || exchange.name.starts_with(RESERVED) {
        return Err(Error::new(ErrorKind::Denied, operation)
            .with_executed(Executed::No)
            .with_context("reserved_exchange", format!("{:?}", exchange.name)));
    }
    Ok(())
}

/// Checks a queue name as RabbitMQ does, but refuses an empty one.
///
/// Fails with `TooLarge` over 255 bytes, `Denied` if it begins with `amq.`, and `Topology` if it is empty.
pub(crate) fn check_queue(name: &str, operation: &'static str) -> Result<()> {
    check_length("queue", name, operation)?;
    if name.is_empty() {
        // RabbitMQ would generate a name, which no publisher could know.
        return Err(Error::new(ErrorKind::Topology, operation)
            .with_executed(Executed::No)
            .with_context("queue", "a queue needs a name"));
    }
    if name.starts_with(RESERVED) {
        return Err(Error::new(ErrorKind::Denied, operation)
            .with_executed(Executed::No)
            .with_context("reserved_queue", name));
    }
    Ok(())
}

/// Checks that `name` fits into a short string; `what` is the key of the error's context.
///
/// Fails with `TooLarge`, whose context has the first 40 characters of the name, its length and the limit.
pub(crate) fn check_length(what: &'static str, name: &str, operation: &'static str) -> Result<()> {
    if name.len() <= SHORT_STRING {
        return Ok(());
    }
    let start: String = name.chars().take(40).collect();
    Err(Error::new(ErrorKind::TooLarge, operation)
        .with_executed(Executed::No)
        .with_context(what, format!("{start}…"))
        .with_context("bytes", name.len())
        .with_context("limit", SHORT_STRING))
}
