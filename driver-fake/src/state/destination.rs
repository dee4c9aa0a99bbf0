//! An address as a publish needs it: what to declare, and where to route.

use oslo_messaging::driver::{Address, Exchange, PublishOptions};

/// The queue that a publish declares first.
///
/// RabbitMQ drops a message to a queue that does not exist, so publishers of some addresses declare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueDeclaration {
    None,
    /// A durable queue reached through the default exchange.
    Plain,
    /// The shared queue of a notification, bound to its exchange.
    Bound,
}

/// What a publish declares and where it routes its message.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    pub(crate) exchange: Exchange,
    /// The routing key; also the name of the declared queue, if there is one.
    pub(crate) key: String,
    pub(crate) queue: QueueDeclaration,
}

impl Destination {
    /// Only notifications with `ensure_queue` and durable queues by name declare a queue.
    pub(crate) fn new(to: &Address, options: &PublishOptions) -> Self {
        let queue = match to {
            Address::Queue { .. } => QueueDeclaration::Plain,
            Address::Notification { .. } if options.ensure_queue => QueueDeclaration::Bound,
            Address::Notification { .. }
            | Address::Topic { .. }
            | Address::Server { .. }
            | Address::Fanout { .. }
            | Address::Direct { .. } => QueueDeclaration::None,
        };
        Self { exchange: to.exchange(), key: to.routing_key(), queue }
    }
}
