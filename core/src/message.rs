//! What travels: bytes, an identity, text headers, a time to live.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

/// The content type of every message, as the reference sets it (kombu `Producer.publish`).
pub const CONTENT_TYPE: &str = "application/json";
/// The content encoding of every message, compressed or not, as the reference sets it.
pub const CONTENT_ENCODING: &str = "utf-8";

/// Headers whose values are text. A driver leaves out what a foreign publisher wrote in another type.
pub type Headers = BTreeMap<String, String>;

/// A message as a driver carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Identifies the message to the broker, so that a return is told to the publisher it concerns. Unique per
    /// publish of ours; of a foreign message whatever it carries, or empty.
    pub id: String,
    /// The body.
    pub body: Bytes,
    /// The headers.
    pub headers: Headers,
    /// After how long in a queue the broker may drop it. `None`: never.
    pub expiration: Option<Duration>,
    /// The queue it was read from; `None` before it is published.
    pub queue: Option<Arc<str>>,
    /// Where its publisher sent it; `None` before it is published, or if the driver cannot know.
    pub origin: Option<Arc<Origin>>,
}

/// Where a message was published to, in the broker's terms.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The exchange; empty for the default one.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
}

impl Message {
    /// A message with a fresh id, no headers and no expiration.
    #[must_use]
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self {
            id: Uuid::new_v4().simple().to_string(),
            body: body.into(),
            headers: Headers::new(),
            expiration: None,
            queue: None,
            origin: None,
        }
    }

    /// Replaces the id.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Adds a header.
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
}
