//! What a listener reads: which queues, bound where, settled how.
//!
//! A driver does not invent names: [`Subscription::queues`] computes the queues and bindings, the same as the
//! reference does, so that Python and Rust servers share them.

use std::num::NonZeroU16;

use super::{Address, Exchange};

/// The window of a subscription that names none, in messages.
const DEFAULT_WINDOW: NonZeroU16 = NonZeroU16::new(100).expect("100 is not zero");

/// Who settles a message, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Settle {
    /// The driver acknowledges what is ready, in one write that never waits to fill a batch, and hands it over only
    /// if that write did not fail. What it hands over is never seen again, save after a lost link.
    BeforeHandover,
    /// The receiver settles each message; what it never settles comes back.
    ByReceiver,
}

/// Whether a queue outlives its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lifetime {
    /// It has a name that others know, and stays.
    Shared,
    /// It is its reader's own: a unique name, gone soon after its reader.
    Private,
}

/// What a listener reads. Its queues and bindings follow from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// The three queues of an RPC server: the topic's, its own, and its share of the fanout.
    Server {
        /// The topic exchange to which the queues of topic and server are bound.
        exchange: String,
        /// The topic: the name of the shared queue.
        topic: String,
        /// The name of the server, unique within the topic.
        server: String,
    },
    /// One private queue for replies, reached by name.
    Inbox,
    /// Notifications: each topic and priority, on the shared queues or on one pool's queue.
    Notifications {
        /// What is listened to; each an [`Address::Notification`].
        addresses: Vec<Address>,
        /// The pool whose queue gets a copy of everything, if any.
        pool: Option<String>,
    },
    /// A durable queue of ours by name, such as a dead-letter queue.
    Queue {
        /// The name of the queue, which is declared durable if it is missing.
        name: String,
    },
}

/// What a listener reads, and how: all that a driver needs to open it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscription {
    /// What to read; [`queues`](Self::queues) makes names and bindings of it.
    pub source: Source,
    /// Who settles. Default: [`Settle::ByReceiver`].
    pub settle: Settle,
    /// How many unsettled messages the broker may hand over at once (prefetch). Default: 100.
    pub window: NonZeroU16,
    /// Whether notification queues are shared ones. Servers and inboxes have a fixed answer per queue. Default: shared.
    pub lifetime: Lifetime,
}

/// One way into a queue: `exchange` copies to it what has `routing_key`. A queue may have several, or none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Binding {
    /// The exchange that feeds the queue. It is declared before the binding.
    pub exchange: Exchange,
    /// The routing key of the binding. A fanout exchange ignores it.
    pub routing_key: String,
}

/// One queue of a subscription, as a driver declares and binds it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct QueuePlan {
    /// Its name, which others publish to if it is shared.
    pub name: String,
    /// Whether it outlives its reader: whether it is deleted, or kept with its messages.
    pub lifetime: Lifetime,
    /// Where its messages come from; empty if it is reached through the default exchange alone.
    pub bindings: Vec<Binding>,
}

impl Binding {
    /// Takes from `exchange` what matches `routing_key`; on a fanout exchange, everything.
    #[must_use]
    pub fn new(exchange: Exchange, routing_key: impl Into<String>) -> Self {
        Self { exchange, routing_key: routing_key.into() }
    }
}

impl QueuePlan {
    /// A queue that is declared before its `bindings` are made.
    #[must_use]
    pub fn new(name: impl Into<String>, lifetime: Lifetime, bindings: Vec<Binding>) -> Self {
        Self { name: name.into(), lifetime, bindings }
    }
}

impl Subscription {
    /// Reads `source` with the defaults of the other fields.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self { source, settle: Settle::ByReceiver, window: DEFAULT_WINDOW, lifetime: Lifetime::Shared }
    }

    /// Sets who settles, and when. Default: [`Settle::ByReceiver`].
    #[must_use]
    pub fn with_settle(mut self, settle: Settle) -> Self {
        self.settle = settle;
        self
    }

    /// Sets how many unsettled messages the broker may hand over at once. Default: 100.
    #[must_use]
    pub fn with_window(mut self, window: NonZeroU16) -> Self {
        self.window = window;
        self
    }

    /// Sets whether notification queues are shared.
    /// A tap reads private ones, so that it takes nothing from others.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// The queues to declare, bind and consume, in that order.
    ///
    /// `unique` makes the names of private queues: 32 hexadecimal digits of a UUID, the same across reconnects.
    #[must_use]
    pub fn queues(&self, unique: &str) -> Vec<QueuePlan> {
        match &self.source {
            Source::Server { exchange, topic, server } => server_queues(exchange, topic, server, unique),
            Source::Inbox => vec![private(format!("reply_{unique}"), Vec::new())],
            Source::Notifications { addresses, pool } => self.notification_queues(addresses, pool.as_deref(), unique),
            Source::Queue { name } => vec![shared(name.clone(), Vec::new())],
        }
    }

    /// The address at which others reach this subscription, made of the same `unique` as its queues.
    #[must_use]
    pub fn address(&self, unique: &str) -> Address {
        match &self.source {
            Source::Server { exchange, topic, server } => {
                Address::Server { exchange: exchange.clone(), topic: topic.clone(), server: server.clone() }
            }
            Source::Inbox => Address::Direct { queue: format!("reply_{unique}") },
            Source::Notifications { .. } | Source::Queue { .. } => {
                let queue = self.queues(unique).into_iter().next().map(|queue| queue.name).unwrap_or_default();
                Address::Direct { queue }
            }
        }
    }

    /// A private tap, one queue for a pool, or one queue for each topic and priority.
    fn notification_queues(&self, addresses: &[Address], pool: Option<&str>, unique: &str) -> Vec<QueuePlan> {
        let bindings: Vec<Binding> = addresses.iter().map(binding_of).collect();
        match (self.lifetime, pool) {
            // One queue with all bindings, as for a pool.
            (Lifetime::Private, _) => vec![private(format!("tap_{unique}"), bindings)],
            (Lifetime::Shared, Some(pool)) => vec![shared(pool.to_owned(), bindings)],
            (Lifetime::Shared, None) => {
                bindings.into_iter().map(|binding| shared(binding.routing_key.clone(), vec![binding])).collect()
            }
        }
    }
}

/// The queue of the topic, that of the server, and its private share of the fanout, in this order (oslo.messaging
/// `_drivers/amqpdriver.py`, `listen`).
fn server_queues(exchange: &str, topic: &str, server: &str, unique: &str) -> Vec<QueuePlan> {
    let bind = |exchange: Exchange, key: &str| vec![Binding { exchange, routing_key: key.to_owned() }];
    let own = format!("{topic}.{server}");
    vec![
        shared(topic.to_owned(), bind(Exchange::topic(exchange), topic)),
        shared(own.clone(), bind(Exchange::topic(exchange), &own)),
        private(format!("{topic}_fanout_{unique}"), bind(Exchange::fanout_of(topic), topic)),
    ]
}

/// The binding that receives what is published to `address`.
fn binding_of(address: &Address) -> Binding {
    Binding { exchange: address.exchange(), routing_key: address.routing_key() }
}

/// A queue that stays, with its messages, when its reader is gone.
fn shared(name: String, bindings: Vec<Binding>) -> QueuePlan {
    QueuePlan { name, lifetime: Lifetime::Shared, bindings }
}

/// A queue of one reader alone, which is deleted soon after it.
fn private(name: String, bindings: Vec<Binding>) -> QueuePlan {
    QueuePlan { name, lifetime: Lifetime::Private, bindings }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_reads_its_topic_then_itself_then_the_fanout() {
        let source = Source::Server { exchange: "nova".into(), topic: "compute".into(), server: "h1".into() };
        let queues = Subscription::new(source).queues("0a");
        let read: Vec<_> = queues
            .iter()
            .map(|q| {
                (q.name.as_str(), q.lifetime, q.bindings[0].exchange.name.as_str(), q.bindings[0].routing_key.as_str())
            })
            .collect();
        assert_eq!(
            read,
            [
                ("compute", Lifetime::Shared, "nova", "compute"),
                ("compute.h1", Lifetime::Shared, "nova", "compute.h1"),
                ("compute_fanout_0a", Lifetime::Private, "compute_fanout", "compute"),
            ]
        );
    }

    #[test]
    fn a_pool_is_one_queue_of_its_own_name_bound_to_everything_listened_to() {
        let address = |priority: &str| Address::Notification {
            exchange: "nova".into(),
            topic: "notifications".into(),
            priority: priority.into(),
        };
        let source =
            Source::Notifications { addresses: vec![address("info"), address("error")], pool: Some("audit".into()) };
        let queues = Subscription::new(source).queues("0a");
        assert_eq!(queues.len(), 1);
        assert_eq!(queues[0].name, "audit");
        let keys: Vec<_> = queues[0].bindings.iter().map(|b| b.routing_key.as_str()).collect();
        assert_eq!(keys, ["notifications.info", "notifications.error"]);
    }
}
