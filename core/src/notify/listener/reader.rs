//! Makes an event for the handlers of each decoded message, or settles the message without them.
//!
//! The checks in this order: the event was given up before, it is a repeated delivery, it did not decode, it is the
//! last delivery that its queue permits, its priority is unknown.

use std::sync::Arc;

use metrics::counter;
use tracing::{debug, warn};

use super::given_up::{EventIdentity, GivenUp, GivenUpMatch};
use super::mover::PendingMove;
use super::work_item::PendingEvent;
use crate::decoding::Decoded;
use crate::delivery::message_key::MessageKey;
use crate::delivery::{Deliveries, Delivery, DuplicateCheck, settled};
use crate::excerpt::Excerpt;
use crate::notify::Event;
use crate::panic::caught;
use crate::wire::Notification;
use crate::{Error, ErrorKind, Result, Serializer};

/// Translates events, and recognises repeated deliveries and events that were given up.
#[derive(Debug)]
pub(super) struct EventReader {
    /// Recognises repeated deliveries by `_unique_id`.
    pub(super) deliveries: Deliveries,
    /// Of the application; `None` leaves context and payload as they are.
    pub(super) serializer: Option<Arc<dyn Serializer>>,
    /// The events that are being moved; asked first, since the handlers must not see those again.
    pub(super) given_up: Arc<GivenUp>,
}

/// What a message turned out to be, which decides who settles it.
#[derive(Debug)]
pub(super) enum ReadOutcome {
    /// An event for the endpoints; the runner settles it after them.
    Event(PendingEvent),
    /// It is not a notification, or the application's serializer refuses it.
    Undecodable(Delivery, Error),
    /// It is the last delivery that its queue allows.
    Last(Delivery),
    /// It was given up before, and not moved.
    GivenUp(PendingMove),
    /// A repeated delivery, or an unknown priority; it is settled already.
    Nothing,
}

impl EventReader {
    /// Decides what a message is. Repeated deliveries and unknown priorities are settled here.
    ///
    /// An unknown priority is acknowledged with a warning, as in the reference.
    ///
    /// Cancellation: a message whose settling was interrupted comes again.
    pub(super) async fn read(&self, decoded: Decoded<Notification>) -> ReadOutcome {
        let Decoded { message, content: decoded, charge } = decoded;
        let unique_id = decoded.as_ref().map(|event| event.unique_id.as_str()).unwrap_or_default();
        // The id of a message that does not decode is unknown, so the duplicate filter never recognises it.
        let key = MessageKey::of(unique_id);
        let identity = EventIdentity::of(key, message.message());
        let message = match self.given_up.meet(identity, message) {
            GivenUpMatch::Other(message) => message,
            GivenUpMatch::Redelivery => return ReadOutcome::Nothing,
            GivenUpMatch::GivenUp(message, reason) => {
                // Without its id, under which nothing is to be settled together with it.
                let DuplicateCheck::First(delivery) = self.deliveries.check(None, message) else {
                    return ReadOutcome::Nothing;
                };
                return ReadOutcome::GivenUp(PendingMove::again(delivery, identity, *reason));
            }
        };
        let mut delivery = match self.deliveries.check(key, message) {
            DuplicateCheck::First(delivery) => delivery,
            DuplicateCheck::Finished(message) => {
                debug!(unique_id = %Excerpt(unique_id), "a repeated delivery of an event is acknowledged");
                counter!("oslo_messaging_notifications_duplicate_total").increment(1);
                settled(message.acknowledge().await);
                return ReadOutcome::Nothing;
            }
            DuplicateCheck::InProgress => {
                counter!("oslo_messaging_notifications_duplicate_total").increment(1);
                return ReadOutcome::Nothing;
            }
        };
        // From here the memory counts until the event is settled, and not only until it is decoded.
        delivery.hold(charge);
        let notification = match decoded {
            Ok(notification) => notification,
            Err(error) => return ReadOutcome::Undecodable(delivery, error),
        };
        if delivery.is_last() {
            return ReadOutcome::Last(delivery);
        }
        let priority = notification.priority.clone();
        let Some(event) = Event::received(notification, delivery.redelivered()) else {
            // As the reference does (`notify/dispatcher.py`, `dispatch`).
            let priority = priority.as_deref().map(Excerpt);
            warn!(?priority, queue = ?delivery.message().queue, "a notification of an unknown priority was skipped");
            delivery.acknowledge().await;
            return ReadOutcome::Nothing;
        };
        match self.translate(event) {
            Ok(event) => ReadOutcome::Event(PendingEvent { event, delivery }),
            Err(error) => ReadOutcome::Undecodable(delivery, error),
        }
    }

    /// A panic of the application's serializer is this event's alone.
    ///
    /// The context first, since it tells the serializer how to read the payload.
    ///
    /// Errors: what the serializer returns, or `Decode` with its panic.
    fn translate(&self, mut event: Event) -> Result<Event> {
        let Some(serializer) = &self.serializer else { return Ok(event) };
        let translated = caught(|| {
            event.context = event.context.replaced(&serializer.deserialize_context(&event.context)?);
            event.payload = serializer.deserialize(&event.context, event.payload)?;
            Ok(event)
        });
        translated.unwrap_or_else(|panic| Err(Error::new(ErrorKind::Decode, "translate").with_context("panic", panic)))
    }
}
