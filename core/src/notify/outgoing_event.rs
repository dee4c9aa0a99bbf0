//! An event on its way out, before a sink makes a message of it.

use chrono::Utc;
use uuid::Uuid;

use super::priority::Priority;
use crate::{Context, Payload, Retry, wire};

/// An event as a [`NotificationSink`](super::NotificationSink) gets it: complete, encoded and redacted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OutgoingEvent {
    /// Names the event, the same on every topic and of every sink: a UUID with dashes.
    pub message_id: String,
    /// The publisher: a service and its host, such as `compute.host-1`.
    pub publisher_id: String,
    /// What happened, such as `compute.instance.create.end`.
    pub event_type: String,
    /// How much it matters; the last part of the routing key.
    pub priority: Priority,
    /// What the notifier says of the event, as JSON; its serializer was applied already.
    pub payload: Payload,
    /// When it was published: `2026-11-22 18:11:31.065226`, in UTC.
    pub timestamp: String,
    /// What of the context may leave the process.
    pub context: Context,
    /// How often, and with which waits, a sink repeats a failed publish.
    pub retry: Retry,
}

impl OutgoingEvent {
    /// An event that happened now, with an id of its own, an empty context and the default retries.
    #[must_use]
    pub fn new(
        publisher_id: impl Into<String>,
        priority: Priority,
        event_type: impl Into<String>,
        payload: Payload,
    ) -> Self {
        Self {
            message_id: Uuid::new_v4().to_string(),
            publisher_id: publisher_id.into(),
            event_type: event_type.into(),
            priority,
            payload,
            timestamp: Utc::now().format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
            context: Context::new(),
            retry: Retry::default(),
        }
    }

    /// The event as one message, with a `_unique_id` that is new on each call.
    ///
    /// Publish one such message again to repeat it: a listener takes two with different ids for two events.
    #[must_use]
    pub fn to_notification(&self) -> wire::Notification {
        wire::Notification {
            message_id: Some(self.message_id.clone()),
            publisher_id: Some(self.publisher_id.clone()),
            event_type: Some(self.event_type.clone()),
            priority: Some(self.priority.as_upper_case().to_owned()),
            payload: self.payload.clone(),
            timestamp: Some(self.timestamp.clone()),
            unique_id: Uuid::new_v4().simple().to_string(),
            context: self.context.values().map(|(name, value)| (name.to_owned(), value.clone())).collect(),
        }
    }

    /// The same event, holding no buffer that is larger than what it needs.
    pub(super) fn detached(self) -> Self {
        Self { payload: self.payload.detached(), context: self.context.detached(), ..self }
    }

    /// How many bytes of text it holds, which an outbox counts against its limit.
    pub(super) fn text_len(&self) -> usize {
        let texts = [&self.message_id, &self.publisher_id, &self.event_type, &self.timestamp];
        let context: usize = self.context.values().map(|(name, value)| name.len() + value.as_str().len()).sum();
        texts.map(String::len).iter().sum::<usize>() + self.payload.as_str().len() + context
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_six_digits_and_ids_as_the_reference_writes_them() {
        let event = OutgoingEvent::new("shop.host-1", Priority::Info, "order.created", Payload::null());
        let shape = |text: &str| text.replace(|c: char| c.is_ascii_hexdigit(), "x");
        assert_eq!(shape(&event.timestamp), "xxxx-xx-xx xx:xx:xx.xxxxxx");
        assert_eq!(shape(&event.message_id), "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
        assert_eq!(shape(&event.to_notification().unique_id), "x".repeat(32));
        assert_ne!(event.to_notification().unique_id, event.to_notification().unique_id);
    }
}
