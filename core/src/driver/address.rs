//! Where a message can be sent, and how that reads on a topic-exchange broker.
//!
//! Names, bindings and routing keys are pure functions here, shared by every driver, because Python peers compute
//! the same names on their side (oslo.messaging 18.3.1, `_drivers/amqpdriver.py` and `_drivers/impl_rabbit.py`).

use std::fmt;

/// A destination as the bus knows it; a driver translates it into exchange, routing key and queue.
///
/// Exhaustive on purpose: a driver must place every variant, so a new one is a breaking release.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// One of the servers that share a topic.
    Topic {
        /// The topic exchange. Queues of one topic name are shared whatever the exchange.
        exchange: String,
        /// The topic: the routing key, and the name of the queue that its servers share.
        topic: String,
    },
    /// One server by its name, through the queue `<topic>.<server>` that it alone reads.
    Server {
        /// The topic exchange; see [`Address::Topic`].
        exchange: String,
        /// The topic: the first part of the routing key `<topic>.<server>`.
        topic: String,
        /// The name of the server, unique within the topic.
        server: String,
    },
    /// Every server of a topic in this virtual host, whatever its exchange: the reference does not scope it.
    Fanout {
        /// The topic, from which the exchange has its name: `<topic>_fanout`.
        topic: String,
    },
    /// A queue by its name, as a reply needs it.
    Direct {
        /// The name of the queue: the routing key on the default exchange.
        queue: String,
    },
    /// The notifications of one topic and priority, which share the queue `<topic>.<priority>`.
    Notification {
        /// The topic exchange; topic and priority make the routing key.
        exchange: String,
        /// The topic: the first part of the routing key `<topic>.<priority>`.
        topic: String,
        /// The priority in lower case, the last part of the routing key.
        priority: String,
    },
    /// A durable queue of ours, such as a dead-letter queue.
    Queue {
        /// The name of the queue: the routing key on the default exchange.
        name: String,
    },
}

/// How an exchange chooses the queues of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExchangeKind {
    /// The nameless exchange: the routing key is the name of a queue.
    Default,
    /// Routes by binding keys; shared with Python peers.
    Topic,
    /// Copies to every bound queue; deleted when the last one is unbound.
    Fanout,
}

/// An exchange as publishers and bindings name it; kind and name must agree with what the broker has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Exchange {
    /// The name; empty for [`ExchangeKind::Default`].
    pub name: String,
    /// How it routes. A broker refuses to declare an exchange again with another kind.
    pub kind: ExchangeKind,
}

impl Exchange {
    /// The nameless exchange, which exists on every broker and is never declared.
    #[must_use]
    pub fn default_exchange() -> Self {
        Self { name: String::new(), kind: ExchangeKind::Default }
    }

    /// The exchange `name` of topics, servers and notifications.
    #[must_use]
    pub fn topic(name: &str) -> Self {
        Self { name: name.to_owned(), kind: ExchangeKind::Topic }
    }

    /// The fanout exchange of `topic`, `<topic>_fanout`.
    #[must_use]
    pub fn fanout_of(topic: &str) -> Self {
        Self { name: format!("{topic}_fanout"), kind: ExchangeKind::Fanout }
    }
}

impl Address {
    /// The exchange that a publisher sends to, and that the queues of the address are bound to.
    #[must_use]
    pub fn exchange(&self) -> Exchange {
        match self {
            Self::Topic { exchange, .. } | Self::Server { exchange, .. } | Self::Notification { exchange, .. } => {
                Exchange::topic(exchange)
            }
            Self::Fanout { topic } => Exchange::fanout_of(topic),
            Self::Direct { .. } | Self::Queue { .. } => Exchange::default_exchange(),
        }
    }

    /// The routing key a publisher uses; empty for a fanout.
    #[must_use]
    pub fn routing_key(&self) -> String {
        match self {
            Self::Topic { topic, .. } => topic.clone(),
            Self::Server { topic, server, .. } => format!("{topic}.{server}"),
            Self::Fanout { .. } => String::new(),
            Self::Direct { queue } => queue.clone(),
            Self::Notification { topic, priority, .. } => format!("{topic}.{priority}"),
            Self::Queue { name } => name.clone(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic { exchange, topic } => write!(f, "{exchange}/{topic}"),
            Self::Server { exchange, topic, server } => write!(f, "{exchange}/{topic}.{server}"),
            Self::Fanout { topic } => write!(f, "{topic} (fanout)"),
            Self::Direct { queue } => write!(f, "queue {queue}"),
            Self::Notification { exchange, topic, priority } => write!(f, "{exchange}/{topic}.{priority}"),
            Self::Queue { name } => write!(f, "durable queue {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishers_use_the_exchanges_and_keys_of_the_reference() {
        let topic = Address::Topic { exchange: "nova".into(), topic: "compute".into() };
        let server = Address::Server { exchange: "nova".into(), topic: "compute".into(), server: "h1".into() };
        let fanout = Address::Fanout { topic: "compute".into() };
        let event =
            Address::Notification { exchange: "nova".into(), topic: "notifications".into(), priority: "info".into() };
        let reply = Address::Direct { queue: "reply_1".into() };
        for (address, exchange, key) in [
            (topic, Exchange::topic("nova"), "compute"),
            (server, Exchange::topic("nova"), "compute.h1"),
            (fanout, Exchange { name: "compute_fanout".into(), kind: ExchangeKind::Fanout }, ""),
            (event, Exchange::topic("nova"), "notifications.info"),
            (reply, Exchange::default_exchange(), "reply_1"),
        ] {
            assert_eq!(address.exchange(), exchange);
            assert_eq!(address.routing_key(), key);
        }
    }
}
