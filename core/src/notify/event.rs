//! An event as a handler sees it, with what is known of its delivery.

use super::Priority;
use crate::wire::Notification;
use crate::{Context, Payload};

/// One delivery of an event. The `T` of its handler decides what the payload is decoded into.
///
/// What the publisher did not write is empty text.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Event<T = Payload> {
    /// What travelled beside it, as far as its publisher let it.
    pub context: Context,
    /// The publisher: a service and its host, such as `compute.host-1`.
    pub publisher_id: String,
    /// What happened, such as `compute.instance.create.end`.
    pub event_type: String,
    /// How much it matters. Listeners choose events by it.
    pub priority: Priority,
    /// What the publisher says of the event: a decoded value, or the JSON of an untyped handler.
    pub payload: T,
    /// Names the event: the same for each of its copies and deliveries.
    pub message_id: String,
    /// When it was published, as its publisher wrote it: `2026-11-22 18:11:31.065226`, in UTC.
    pub timestamp: String,
    /// Whether the broker handed it over before, so that it may have been handled already.
    pub redelivered: bool,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

impl Event {
    /// The event in `notification`; `None` if its priority is missing or none of the seven.
    pub(super) fn received(notification: Notification, redelivered: bool) -> Option<Self> {
        let priority = notification.priority.as_deref()?.parse().ok()?;
        Some(Self {
            context: Context::received(notification.context, None, None),
            publisher_id: notification.publisher_id.unwrap_or_default(),
            event_type: notification.event_type.unwrap_or_default(),
            priority,
            payload: notification.payload,
            message_id: notification.message_id.unwrap_or_default(),
            timestamp: notification.timestamp.unwrap_or_default(),
            redelivered,
            attempt: 1,
        })
    }
}

impl<T> Event<T> {
    /// The same event with another payload, which may be of another type.
    #[must_use]
    pub fn with_payload<U>(self, payload: U) -> Event<U> {
        self.replace(payload).0
    }

    fn replace<U>(self, payload: U) -> (Event<U>, T) {
        let event = Event {
            context: self.context,
            publisher_id: self.publisher_id,
            event_type: self.event_type,
            priority: self.priority,
            payload,
            message_id: self.message_id,
            timestamp: self.timestamp,
            redelivered: self.redelivered,
            attempt: self.attempt,
        };
        (event, self.payload)
    }
}
