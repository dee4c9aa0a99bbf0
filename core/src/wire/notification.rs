//! A notification on the wire, as the reference's notifier writes it.
//!
//! The keys are `message_id`, `publisher_id`, `event_type`, `priority`, `payload`, `timestamp`, `_unique_id` and
//! `_context_*` for each value of the context, in this order.

use bytes::Bytes;

use super::envelope::{Envelope, Format};
use super::fields::{Fields, last_wins, tolerant_text};
use super::writer::ObjectWriter;
use super::{CONTEXT_PREFIX, compression, envelope};
use crate::driver::Message;
use crate::{Payload, Result};

/// One event on its way (oslo.messaging 18.3.1, `notify/notifier.py:_notify`).
///
/// Absent fields are not written; the reference writes all of them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Notification {
    /// Names the event, the same on every topic it is published to: a UUID with dashes.
    pub message_id: Option<String>,
    /// The publisher: a service and its host, such as `compute.host-1`.
    pub publisher_id: Option<String>,
    /// What happened, such as `compute.instance.create.end`.
    pub event_type: Option<String>,
    /// One of the seven priorities, in upper case.
    pub priority: Option<String>,
    /// What the publisher says of the event: any JSON value.
    pub payload: Payload,
    /// When it was published: `2026-11-22 18:11:31.065226`, in UTC.
    pub timestamp: Option<String>,
    /// The `_unique_id`, by which a receiver recognises repeated deliveries
    /// of the message. Empty if the sender wrote none.
    pub unique_id: String,
    /// The context by name, in order, without repetitions.
    pub context: Vec<(String, Payload)>,
}

impl Notification {
    /// A notification with a payload alone. What stays absent is not written.
    #[must_use]
    pub fn new(payload: Payload) -> Self {
        Self {
            message_id: None,
            publisher_id: None,
            event_type: None,
            priority: None,
            payload,
            timestamp: None,
            unique_id: String::new(),
            context: Vec::new(),
        }
    }

    /// Writes the body of a message. The fields come in the order of the reference.
    ///
    /// `Format::V1` writes the bare object, `Format::V2` the envelope around it.
    #[must_use]
    pub fn encode(&self, format: Format) -> Bytes {
        let context: usize = self.context.iter().map(|(name, value)| name.len() + value.as_str().len() + 20).sum();
        let length = 350 + self.payload.as_str().len() + context;
        match format {
            Format::V1 => envelope::bare(length, |out| self.write(out)),
            Format::V2 => envelope::seal(length, |out| self.write(out)),
        }
    }

    /// Reads a message, in either format and compressed or not. Unknown fields are ignored; of a repeated one the last
    /// counts. As for the reference every field may be missing; one that is not of its type counts as missing.
    ///
    /// # Errors
    /// As [`Envelope::open`]. A field of a wrong type is no error.
    pub fn decode(message: &Message) -> Result<Self> {
        Self::of_body(&compression::body(message)?)
    }

    /// As [`decode`](Self::decode), of a body that is decompressed.
    pub(crate) fn of_body(body: &Bytes) -> Result<Self> {
        Envelope::of_body(body)?.read("decode notification", |buffer, fields| Ok(read(buffer, fields)))
    }

    /// Writes the fields in the order of the reference.
    fn write(&self, out: &mut ObjectWriter<'_>) {
        let before = [
            ("message_id", &self.message_id),
            ("publisher_id", &self.publisher_id),
            ("event_type", &self.event_type),
            ("priority", &self.priority),
        ];
        for (name, value) in before {
            optional(out, name, value.as_ref());
        }
        out.json("payload", &self.payload);
        optional(out, "timestamp", self.timestamp.as_ref());
        if !self.unique_id.is_empty() {
            out.text("_unique_id", &self.unique_id);
        }
        for (name, value) in &self.context {
            out.prefixed(CONTEXT_PREFIX, name, value);
        }
    }
}

/// A missing value is left out with its name, and not written as `null`.
fn optional(out: &mut ObjectWriter<'_>, name: &str, value: Option<&String>) {
    if let Some(value) = value {
        out.text(name, value);
    }
}

/// Collects the known fields; those of a wrong type count as missing.
fn read(buffer: &Bytes, Fields(fields): Fields<'_>) -> Notification {
    // A notification without a payload is not refused: the reference reads it too.
    let mut notification = Notification::new(Payload::null());
    for (name, value) in fields {
        match name.as_ref() {
            "message_id" => notification.message_id = tolerant_text(value),
            "publisher_id" => notification.publisher_id = tolerant_text(value),
            "event_type" => notification.event_type = tolerant_text(value),
            "priority" => notification.priority = tolerant_text(value),
            "payload" => notification.payload = Payload::slice(buffer, value),
            "timestamp" => notification.timestamp = tolerant_text(value),
            "_unique_id" => notification.unique_id = tolerant_text(value).unwrap_or_default(),
            name => {
                if let Some(name) = name.strip_prefix(CONTEXT_PREFIX) {
                    notification.context.push((name.to_owned(), Payload::slice(buffer, value)));
                }
            }
        }
    }
    notification.context = last_wins(notification.context);
    notification
}
