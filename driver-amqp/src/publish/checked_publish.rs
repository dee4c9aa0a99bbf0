//! A publish that passed the checks of the driver.

use oslo_messaging::driver::{Address, Exchange, Message, PublishOptions};
use oslo_messaging::{Error, ErrorKind, Executed, Result};

use crate::config::AmqpConfig;
use crate::link::inner::Inner;
use crate::properties;
use crate::publish::destinations::Prerequisite;
use crate::short_string::check_name;

/// A message that was checked and is sent as often as necessary.
/// It never changes after `Transport::publish` built it, so a resent message is identical, its id included.
///
/// lapin takes names and properties by value. They are made for each send, and are not kept here to be cloned.
#[derive(Debug)]
pub(crate) struct CheckedPublish {
    /// With its type, which decides what a missing exchange means. Its name has at most 255 bytes.
    pub(crate) exchange: Exchange,
    /// At most 255 bytes.
    pub(crate) routing_key: String,
    /// What must be declared on the link before it is sent.
    pub(crate) prerequisite: Prerequisite,
    /// Whether the broker returns it if no queue takes it. Always set if the publisher declares the queue.
    pub(crate) mandatory: bool,
    /// Whether it has the delivery mode 2, with which a durable queue keeps it over a restart of the broker.
    pub(crate) persistent: bool,
    /// What a refusal by the broker means for the execution.
    /// Decided when the publish is built, because the address is not kept.
    pub(crate) if_refused: Executed,
    /// Its body is compressed already, if the configuration says so. A returned message is matched by its id.
    pub(crate) message: Message,
    /// The bytes of the headers. Each link has its own limit for them.
    pub(crate) header_bytes: usize,
}

impl CheckedPublish {
    /// Compresses `message` and checks all that can be checked before a channel is taken.
    /// Not part of the future of a publish, which would keep what each step leaves.
    ///
    /// Fails with `TooLarge` for a body over `max_message_size`, a name over 255 bytes or headers over the frame limit;
    /// at the deadline with `Blocked`, `Disconnected` or `Timeout`. Executed is `No` in each.
    pub(crate) fn new(inner: &Inner, to: &Address, message: Message, options: &PublishOptions) -> Result<Self> {
        // Before the size is checked: the broker's limit is for the compressed body.
        let message = inner.config.compressed(message);
        check_size(&message, inner.config.max_message_size)?;
        if options.deadline.has_passed() {
            return Err(inner.current.deadline_error("publish", Executed::No));
        }
        let header_bytes = properties::header_bytes(&message);
        if let Some(link) = inner.current.state().link() {
            // The message may be sent on a later link with another frame limit, so the publisher checks it again.
            properties::check_frame(header_bytes, link.publishing.frame_max())?;
        }
        let (exchange, routing_key) = (to.exchange(), to.routing_key());
        check_name("exchange", &exchange.name)?;
        check_name("routing_key", &routing_key)?;
        properties::check(&message)?;
        let prerequisite = Prerequisite::of(to, options.ensure_queue);
        Ok(Self {
            // The publisher makes this queue, so a publish that misses it must not be lost.
            mandatory: options.mandatory || prerequisite.has_queue(),
            // Not by the address: an event goes back to its queue by the queue's name too.
            persistent: !options.reply || inner.config.writes_replies(),
            if_refused: if_refused(to, &inner.config),
            message,
            header_bytes,
            exchange,
            routing_key,
            prerequisite,
        })
    }
}

/// RabbitMQ closes the channel for a body over its own limit, which would delay every other publish on it.
fn check_size(message: &Message, limit: usize) -> Result<()> {
    if message.body.len() <= limit {
        return Ok(());
    }
    Err(Error::new(ErrorKind::TooLarge, "publish")
        .with_executed(Executed::No)
        .with_context("bytes", message.body.len())
        .with_context("limit", limit))
}

/// What a refusal by the broker means for a message to this address.
///
/// If several queues match, the others may have the message.
/// A classic queue delivers a message before it is on disk,
/// and if its process dies, every unconfirmed message is refused.
/// A quorum queue refuses only what it has not accepted: because it is full or has no leader.
/// The type of a reply queue is known to its owner only;
/// for the queues of servers the configuration tells, because the publisher does not declare them.
fn if_refused(to: &Address, config: &AmqpConfig) -> Executed {
    let replicated = match to {
        Address::Topic { .. } | Address::Server { .. } | Address::Queue { .. } => config.quorum_queues,
        Address::Fanout { .. } | Address::Notification { .. } | Address::Direct { .. } => false,
    };
    if replicated { Executed::No } else { Executed::Maybe }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_one_quorum_queue_refuses_has_certainly_reached_no_consumer() {
        let [exchange, topic] = ["x", "t"].map(str::to_owned);
        let event = Address::Notification { exchange: exchange.clone(), topic: topic.clone(), priority: "info".into() };
        let server = Address::Server { exchange: exchange.clone(), topic: topic.clone(), server: "s".into() };
        for (to, replicated) in [
            (Address::Fanout { topic: topic.clone() }, Executed::Maybe),
            (event, Executed::Maybe),
            (Address::Direct { queue: "reply".into() }, Executed::Maybe),
            (Address::Topic { exchange, topic }, Executed::No),
            (server, Executed::No),
            (Address::Queue { name: "q".into() }, Executed::No),
        ] {
            assert_eq!(if_refused(&to, &AmqpConfig::quorum()), replicated, "{to}");
            assert_eq!(if_refused(&to, &AmqpConfig::default()), Executed::Maybe, "{to}");
        }
    }
}
