//! What travels: bytes, an identity, text headers, a time to live.
//!
//! A driver fills in the fields that it knows on receipt and leaves the others empty;
//! the builder methods marked "for drivers" are for that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use uuid::Uuid;

/// The content type of every message, as the reference sets it (kombu `Producer.publish`).
pub const CONTENT_TYPE: &str = "application/json";
/// The content encoding of every message, compressed or not, as the reference sets it.
pub const CONTENT_ENCODING: &str = "utf-8";

/// Headers whose values are text. A driver leaves out what a foreign publisher wrote in another type.
pub type Headers = BTreeMap<String, String>;

/// A message as a driver carries it: a body, and what a broker must know to route, return and expire it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Identifies the message to the broker, so that a returned message is matched to its publish. Unique for each
    /// publish of this library; of a foreign message what it carries, possibly empty.
    /// On AMQP the property `message_id`.
    pub id: String,
    /// The body, which a driver carries unchanged and does not read.
    pub body: Bytes,
    /// The headers, which drivers carry unchanged.
    pub headers: Headers,
    /// After how long in a queue the broker may drop it. `None`: never.
    pub expiration: Option<Duration>,
    /// The queue it was read from; `None` before it is published.
    pub queue: Option<Arc<str>>,
    /// Where its publisher sent it; `None` before it is published, or if the driver cannot know.
    pub origin: Option<Arc<Origin>>,
    /// How often its queue counted a failed delivery of it;
    /// `None` before it is published, or if the queue does not count.
    pub delivery_count: Option<DeliveryCount>,
    /// When the driver took it off the connection; `None` before it is published.
    pub received_at: Option<Instant>,
    /// Why the driver could not read the properties of this message. Its headers are then empty although it had some,
    /// so its body cannot be trusted: it may have been compressed. `None`: they were read, or it was not published yet.
    pub undecodable: Option<Arc<str>>,
}

/// The failed deliveries of a message, as a queue with a delivery limit counts them.
/// A quorum queue of RabbitMQ writes them in `x-delivery-count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DeliveryCount {
    /// Deliveries before this one that ended without an acknowledgement.
    pub failed: u64,
    /// The broker drops the message, or dead-letters it by policy, when `failed` exceeds this. `None`: no known limit.
    pub limit: Option<u64>,
}

impl DeliveryCount {
    /// For drivers. A queue without a limit, or with one that the driver does not know, has `None`.
    #[must_use]
    pub fn new(failed: u64, limit: Option<u64>) -> Self {
        Self { failed, limit }
    }

    /// Whether this delivery is the last: the broker drops the message if it fails once more.
    #[must_use]
    pub fn is_last(self) -> bool {
        self.limit.is_some_and(|limit| self.failed >= limit)
    }
}

/// Where a message was published to, in the broker's terms.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Origin {
    /// The exchange; empty for the default one.
    pub exchange: String,
    /// The routing key, by which the exchange chose the queues.
    pub routing_key: String,
}

impl Origin {
    /// A publish to `exchange`, empty for the default one, with `routing_key`.
    #[must_use]
    pub fn new(exchange: impl Into<String>, routing_key: impl Into<String>) -> Self {
        Self { exchange: exchange.into(), routing_key: routing_key.into() }
    }
}

impl Message {
    /// A message with a fresh id, no headers and no expiration.
    #[must_use]
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self::received(Uuid::new_v4().simple().to_string(), body)
    }

    /// A message that came from a peer, with the id that it has; empty if it has none. No headers and no expiration.
    #[must_use]
    pub fn received(id: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            id: id.into(),
            body: body.into(),
            headers: Headers::new(),
            expiration: None,
            queue: None,
            origin: None,
            delivery_count: None,
            received_at: None,
            undecodable: None,
        }
    }

    /// Replaces the random id that [`new`](Self::new) gave; for drivers.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Adds a header; a header of the same name is replaced.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// Lets the broker drop the message after it lay in a queue for `expiration`.
    #[must_use]
    pub fn with_expiration(mut self, expiration: Duration) -> Self {
        self.expiration = Some(expiration);
        self
    }

    /// Says which queue it was read from; for drivers.
    #[must_use]
    pub fn with_queue(mut self, queue: Arc<str>) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Says where its publisher sent it; for drivers.
    #[must_use]
    pub fn with_origin(mut self, origin: Arc<Origin>) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Sets the count of failed deliveries; for drivers.
    #[must_use]
    pub fn with_delivery_count(mut self, delivery_count: DeliveryCount) -> Self {
        self.delivery_count = Some(delivery_count);
        self
    }

    /// Sets when the driver took it off the connection; for drivers.
    #[must_use]
    pub fn with_received_at(mut self, received_at: Instant) -> Self {
        self.received_at = Some(received_at);
        self
    }

    /// Says why the properties of the message could not be read, so that its body is not decoded either; for drivers.
    #[must_use]
    pub fn with_undecodable(mut self, reason: impl Into<Arc<str>>) -> Self {
        self.undecodable = Some(reason.into());
        self
    }

    /// Whether the broker drops the message if this delivery fails too.
    pub(crate) fn is_last_delivery(&self) -> bool {
        self.delivery_count.is_some_and(DeliveryCount::is_last)
    }
}
