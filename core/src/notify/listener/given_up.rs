//! Remembers the given-up events that are not in their dead-letter queue yet:
//! they are moved, and their handler does not run again.
//!
//! Moving an event can take long when its dead-letter queue refuses it, and the broker may deliver the event again
//! meanwhile. The handler must not run again then, so the listener remembers which events it gave up and why: those
//! that are being moved, and those that went back to the end of their queue.
//!
//! The key is the `_unique_id`. An event without one is recognised by its content, so several equal events may share
//! an identity; they are counted, and each is matched once.
//!
//! Memory is bounded: events that are being moved hold a share of the listener's window,
//! and at most 10,000 returned ones are remembered.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::delivery::message_key::MessageKey;
use crate::driver::{IncomingMessage, Message};
use crate::notify::dead_letter::info::DeadLetterInfo;

/// How many events that went back to their queue are remembered. The oldest beyond that are run again.
const REMEMBERED: usize = 10_000;

/// Identifies an event: by the key of its `_unique_id`, or of its content if it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct EventIdentity {
    /// A hash, so that the memory does not depend on the length of ids.
    key: MessageKey,
    /// Whether the event has no `_unique_id`, so that equal events are taken for one.
    by_content: bool,
}

/// The events of one listener that were given up and not moved yet.
#[derive(Debug, Default)]
pub(super) struct GivenUp {
    /// Never locked across an await.
    events: Mutex<Events>,
}

/// What an arriving message is, as far as events that were given up go.
#[derive(Debug)]
pub(super) enum GivenUpMatch {
    /// Not one of them; the check for duplicates comes next.
    Other(Box<dyn IncomingMessage>),
    /// Another delivery of one that is being moved: it is settled with that.
    Redelivery,
    /// One of them: only its move is to be tried.
    GivenUp(Box<dyn IncomingMessage>, Box<GiveUpReason>),
}

/// Why an event was given up, and when this process last put it back into its queue.
#[derive(Debug, Clone)]
pub(super) struct GiveUpReason {
    /// Whole for an event that was given up just now; brief, without a traceback, for a remembered one.
    pub(super) info: DeadLetterInfo,
    /// When it went back to the end of its queue, if it did.
    pub(super) returned: Option<Instant>,
}

/// The events that were given up, by where they are.
#[derive(Debug, Default)]
struct Events {
    /// Their deliveries are held by the mover.
    moving: HashMap<EventIdentity, Moving>,
    /// They are in their queue and held by nothing here. At most 10,000.
    returned: HashMap<EventIdentity, Returned>,
    /// The identities in `returned`, so that the oldest is found and forgotten first.
    order: BTreeMap<u64, EventIdentity>,
    /// Ascends, so that the smallest key in `order` is the oldest event.
    next: u64,
}

/// A move that has begun and not ended. No handler may see its event meanwhile.
#[derive(Debug)]
struct Moving {
    /// How many messages of this identity are being moved: equal ones without an id may be several.
    messages: usize,
    /// Redeliveries of the event, unsettled; settled together with it.
    redeliveries: Vec<Box<dyn IncomingMessage>>,
    /// Brief: for another message of the same id that comes meanwhile.
    info: DeadLetterInfo,
    /// Notified when a redelivery came that the broker drops if it is not acknowledged.
    last: Arc<Notify>,
}

/// An event that went back to the end of its queue.
#[derive(Debug)]
struct Returned {
    /// Its key in `order`.
    number: u64,
    messages: usize,
    /// The latest one, if several equal events went back.
    reason: GiveUpReason,
}

impl EventIdentity {
    /// The identity of `message`, whose `_unique_id` has this key, or which has none.
    pub(super) fn of(key: Option<MessageKey>, message: &Message) -> Self {
        let by_content = key.is_none();
        Self { key: key.unwrap_or_else(|| MessageKey::of_content(message)), by_content }
    }

    /// The bare key, under which `RequeueBackoff` counts how often the event was requeued.
    pub(super) fn key(self) -> MessageKey {
        self.key
    }
}

impl GivenUp {
    /// Decides whether `message` is a given-up event, a redelivery of one that is being moved, or neither.
    ///
    /// The reader asks before it looks for duplicates.
    /// A returned event is matched once for each time it was returned.
    pub(super) fn meet(&self, identity: EventIdentity, message: Box<dyn IncomingMessage>) -> GivenUpMatch {
        let mut events = self.events();
        if let Some(reason) = events.take_returned(identity) {
            return GivenUpMatch::GivenUp(message, Box::new(reason));
        }
        match events.moving.get_mut(&identity) {
            // Marked by the broker, so it is the same message again: settled with the first.
            Some(moving) if message.redelivered() => {
                if message.message().is_last_delivery() {
                    moving.last.notify_one();
                }
                moving.redeliveries.push(message);
                GivenUpMatch::Redelivery
            }
            // The publisher sent it twice. It is not settled with the first:
            // it may also be the dead letter, replayed before its confirm arrived here.
            Some(moving) if !identity.by_content => {
                let reason = GiveUpReason { info: moving.info.clone(), returned: None };
                GivenUpMatch::GivenUp(message, Box::new(reason))
            }
            _ => GivenUpMatch::Other(message),
        }
    }

    /// Notes that an event is given up, and is to be moved because of `info`. What is returned is notified when another
    /// delivery of the event is the last that its queue allows.
    ///
    /// Called once for each message; ended by `moved` or `left`.
    pub(super) fn begin(&self, identity: EventIdentity, info: &DeadLetterInfo) -> Arc<Notify> {
        let mut events = self.events();
        let moving = events.moving.entry(identity);
        let new = || Moving { messages: 0, redeliveries: Vec::new(), info: info.brief(), last: Arc::default() };
        let moving = moving.or_insert_with(new);
        moving.messages += 1;
        Arc::clone(&moving.last)
    }

    /// Notes that an event is about to be published to the end of its queue, from where it will be met again.
    ///
    /// Called before the publish, because the returned event may be delivered before its confirm. When the memory is
    /// full the oldest is forgotten: its handler runs again.
    pub(super) fn returning(&self, identity: EventIdentity, info: &DeadLetterInfo) {
        let mut events = self.events();
        let reason = GiveUpReason { info: info.brief(), returned: Some(Instant::now()) };
        if let Some(returned) = events.returned.get_mut(&identity) {
            returned.messages += 1;
            returned.reason = reason;
            return;
        }
        while events.returned.len() >= REMEMBERED {
            let Some((_, oldest)) = events.order.pop_first() else { break };
            events.returned.remove(&oldest);
        }
        let number = events.next;
        events.next += 1;
        events.order.insert(number, identity);
        events.returned.insert(identity, Returned { number, messages: 1, reason });
    }

    /// Undoes a [`returning`](Self::returning), since the returned event was certainly not published.
    pub(super) fn not_returned(&self, identity: EventIdentity) {
        self.events().take_returned(identity);
    }

    /// Whether another delivery of an event that is being moved is the last that its queue allows.
    ///
    /// That redelivery must then be kept too, not only the first delivery.
    pub(super) fn has_last(&self, identity: EventIdentity) -> bool {
        let events = self.events();
        let redeliveries =
            events.moving.get(&identity).map(|moving| moving.redeliveries.as_slice()).unwrap_or_default();
        redeliveries.iter().any(|message| message.message().is_last_delivery())
    }

    /// Notes that an event is in the dead-letter queue;
    /// gives out its other deliveries, which are to be settled with it.
    ///
    /// What of it was returned is forgotten too, if it has an id.
    pub(super) fn moved(&self, identity: EventIdentity) -> Vec<Box<dyn IncomingMessage>> {
        let mut events = self.events();
        if !identity.by_content {
            while events.take_returned(identity).is_some() {}
        }
        events.end(identity)
    }

    /// Notes that an event is not held here any more; gives out its other deliveries.
    ///
    /// The caller acknowledges them, or drops them for the broker to deliver again.
    pub(super) fn left(&self, identity: EventIdentity) -> Vec<Box<dyn IncomingMessage>> {
        self.events().end(identity)
    }

    /// Enters a poisoned lock, so that one panic does not stop the listener.
    fn events(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events {
    /// Takes one returned message of `identity` out of the memory, with the reason that it was given up for.
    fn take_returned(&mut self, identity: EventIdentity) -> Option<GiveUpReason> {
        let returned = self.returned.get_mut(&identity)?;
        if returned.messages > 1 {
            returned.messages -= 1;
            return Some(returned.reason.clone());
        }
        let Returned { number, reason, .. } = self.returned.remove(&identity)?;
        self.order.remove(&number);
        Some(reason)
    }

    /// Ends one move of `identity`; the redeliveries are given out with the last one.
    fn end(&mut self, identity: EventIdentity) -> Vec<Box<dyn IncomingMessage>> {
        let Some(moving) = self.moving.get_mut(&identity) else { return Vec::new() };
        moving.messages -= 1;
        if moving.messages > 0 {
            return Vec::new();
        }
        self.moving.remove(&identity).map(|moving| moving.redeliveries).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::notify::DeadReason;
    use crate::{Error, ErrorKind, Result};

    #[derive(Debug)]
    struct Arrived(Message, bool);

    #[async_trait]
    impl IncomingMessage for Arrived {
        fn message(&self) -> &Message {
            &self.0
        }

        fn redelivered(&self) -> bool {
            self.1
        }

        async fn acknowledge(self: Box<Self>) -> Result<()> {
            Ok(())
        }

        async fn requeue(self: Box<Self>) -> Result<()> {
            Ok(())
        }

        async fn reject(self: Box<Self>) -> Result<()> {
            Ok(())
        }
    }

    fn info() -> DeadLetterInfo {
        let error = Error::new(ErrorKind::Decode, "test");
        DeadLetterInfo::of_error(&Message::new("{}"), DeadReason::Payload, 3, &error)
    }

    fn meet(events: &GivenUp, identity: EventIdentity, redelivered: bool) -> &'static str {
        match events.meet(identity, Box::new(Arrived(Message::new("{}"), redelivered))) {
            GivenUpMatch::Other(_) => "other",
            GivenUpMatch::Redelivery => "redelivery",
            GivenUpMatch::GivenUp(..) => "given up",
        }
    }

    #[test]
    fn an_event_is_known_while_it_is_moved_and_where_it_went_back_to_its_queue() {
        let events = GivenUp::default();
        let id = EventIdentity::of(MessageKey::of("a"), &Message::new("{}"));
        assert_eq!(meet(&events, id, true), "other");
        events.begin(id, &info());
        assert_eq!((meet(&events, id, true), meet(&events, id, false)), ("redelivery", "given up"));
        events.returning(id, &info());
        assert_eq!(events.left(id).len(), 1);
        assert_eq!((meet(&events, id, false), meet(&events, id, false)), ("given up", "other"));
        events.begin(id, &info());
        events.returning(id, &info());
        events.moved(id);
        assert_eq!(meet(&events, id, false), "other", "a dead letter that is replayed is run");
    }

    #[test]
    fn events_without_an_id_are_known_by_their_content_and_counted() {
        let events = GivenUp::default();
        let message = |id: &str, body: &'static str| Message::new(body).with_id(id);
        let id = EventIdentity::of(None, &message("m", "1"));
        assert_eq!(id, EventIdentity::of(None, &message("m", "1")));
        assert!(id != EventIdentity::of(None, &message("m", "2")) && id != EventIdentity::of(None, &message("n", "1")));
        events.begin(id, &info());
        assert_eq!((meet(&events, id, true), meet(&events, id, false)), ("redelivery", "other"));
        events.begin(id, &info());
        assert!(events.moved(id).is_empty(), "the redelivery may be the other's");
        assert_eq!(events.moved(id).len(), 1);
    }

    #[test]
    fn only_so_many_events_that_went_back_are_remembered() {
        let events = GivenUp::default();
        let id = |n: usize| EventIdentity::of(MessageKey::of(&n.to_string()), &Message::new("{}"));
        for n in 0..=REMEMBERED {
            events.returning(id(n), &info());
        }
        let known = events.events();
        assert_eq!((known.returned.len(), known.order.len()), (REMEMBERED, REMEMBERED));
        drop(known);
        assert_eq!((meet(&events, id(0), false), meet(&events, id(1), false)), ("other", "given up"));
    }
}
