//! A message in hand, with the copies of it that came while it was worked on.
//!
//! A broker delivers a message again when its acknowledgement was lost with a connection. [`Deliveries`] recognises
//! such a copy by its `_unique_id`. A copy of a finished message is acknowledged at once; a copy of one in progress
//! waits and is settled together with it, so that the broker drops both or neither.
//!
//! The memory is bounded: ids are kept as 16-byte keys ([`message_key`]),
//! up to a number and an age ([`duplicate_filter`]).

pub(crate) mod duplicate_filter;
pub(crate) mod message_key;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::debug;

use self::duplicate_filter::DuplicateFilter;
use self::message_key::MessageKey;
use crate::Result;
use crate::decoding::Charge;
use crate::driver::{DeliveryCount, IncomingMessage, Message, Settle};

/// How many messages of the past are remembered, and for how long: more than a broker hands over again after a
/// lost connection, for longer than a connection takes to come back. They take 1 MiB at most, whatever their ids are.
const REMEMBERED: usize = 10_000;
const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// Detects repeated deliveries by their `_unique_id`.
///
/// Each subscription has its own: a fanout to fifty servers of one process is not fifty duplicates. Whether a message
/// counts as finished when it arrives or when it is acknowledged follows from [`Settle`].
#[derive(Debug)]
pub(crate) struct Deliveries {
    /// Decides whether a message is finished when it arrives or when it is acknowledged.
    settle: Settle,
    known: Arc<Mutex<KnownMessages>>,
}

/// Whether a message is the first delivery of its `_unique_id`, and what its receiver does with it.
#[derive(Debug)]
pub(crate) enum DuplicateCheck {
    First(Delivery),
    /// It was done with before; the copy only has to be settled.
    Finished(Box<dyn IncomingMessage>),
    /// It is being worked on; the copy is settled with it.
    InProgress,
}

/// A message that is being worked on. Dropping it unsettled gives it, and its copies, back to the broker.
pub(crate) struct Delivery {
    /// `None` once it is settled, so that the drop gives nothing back.
    message: Option<Box<dyn IncomingMessage>>,
    /// `None` without a `_unique_id`: no other message is then a copy of this one.
    key: Option<MessageKey>,
    /// What its content holds of the budget until the message is done with.
    charge: Option<Charge>,
    known: Arc<Mutex<KnownMessages>>,
    /// The copies that came before it was released; `None` while it is still in progress.
    release: Option<Vec<Box<dyn IncomingMessage>>>,
}

/// The messages of one subscription that are finished or in progress.
#[derive(Debug)]
struct KnownMessages {
    /// Acknowledged messages, up to [`REMEMBERED`] and [`REMEMBERED_FOR`].
    finished: DuplicateFilter,
    /// What is neither finished nor settled, each with the copies that came meanwhile.
    running: HashMap<MessageKey, Vec<Box<dyn IncomingMessage>>>,
}

impl Deliveries {
    /// Nothing known yet; `settle` decides when a message counts as finished.
    pub(crate) fn new(settle: Settle) -> Self {
        let finished = DuplicateFilter::new(REMEMBERED, REMEMBERED_FOR);
        Self { settle, known: Arc::new(Mutex::new(KnownMessages { finished, running: HashMap::new() })) }
    }

    /// Looks up the message with this key; one without a `_unique_id` (`None`) is never a copy. What was settled before
    /// handover is finished from the start; else it is once it is acknowledged.
    pub(crate) fn check(&self, key: Option<MessageKey>, message: Box<dyn IncomingMessage>) -> DuplicateCheck {
        let mut known = lock(&self.known);
        let first = match self.settle {
            // The broker has its acknowledgement already: a second delivery is a copy even while the first one runs.
            Settle::BeforeHandover => known.finished.insert(key),
            Settle::ByReceiver => !known.finished.contains(key),
        };
        if !first {
            return DuplicateCheck::Finished(message);
        }
        if let Some(key) = key.filter(|_| self.settle == Settle::ByReceiver) {
            if let Some(copies) = known.running.get_mut(&key) {
                copies.push(message);
                return DuplicateCheck::InProgress;
            }
            known.running.insert(key, Vec::new());
        }
        let known = Arc::clone(&self.known);
        DuplicateCheck::First(Delivery { message: Some(message), key, charge: None, known, release: None })
    }
}

impl KnownMessages {
    /// Takes the message off the list of what runs; its copies that came meanwhile.
    fn stop_running(&mut self, key: Option<MessageKey>) -> Vec<Box<dyn IncomingMessage>> {
        key.and_then(|key| self.running.remove(&key)).unwrap_or_default()
    }
}

impl Delivery {
    /// The first delivery. The copies that came later carry the same bytes.
    pub(crate) fn message(&self) -> &Message {
        self.incoming().message()
    }

    /// Whether the broker marked the message as delivered before, so that it may have been handled already.
    pub(crate) fn redelivered(&self) -> bool {
        self.incoming().redelivered()
    }

    /// Keeps `charge` until the message is done with.
    pub(crate) fn hold(&mut self, charge: Option<Charge>) {
        self.charge = charge;
    }

    /// What the message is remembered by; `None` if it carries no `_unique_id`.
    pub(crate) fn key(&self) -> Option<MessageKey> {
        self.key
    }

    /// The delivery count of the message or of a copy of it, whichever failed more often: after a lost connection the
    /// message comes again while its first copy is still worked on.
    pub(crate) fn delivery_count(&self) -> Option<DeliveryCount> {
        let most_failed = |copies: &[Box<dyn IncomingMessage>]| {
            copies.iter().filter_map(|copy| copy.message().delivery_count).max_by_key(|count| count.failed)
        };
        let copies = match &self.release {
            Some(copies) => most_failed(copies),
            None => self.key.and_then(|key| lock(&self.known).running.get(&key).and_then(|copies| most_failed(copies))),
        };
        let own = self.message.as_deref().and_then(|message| message.message().delivery_count);
        own.into_iter().chain(copies).max_by_key(|count| count.failed)
    }

    /// Whether the broker drops the message, or a copy of it, if it is not acknowledged this time.
    pub(crate) fn is_last(&self) -> bool {
        self.delivery_count().is_some_and(DeliveryCount::is_last)
    }

    /// Ends its progress before its dead letter is written. From now on another message of the same `_unique_id`
    /// is not a copy of it, but the dead letter, sent again.
    pub(crate) fn release(&mut self) {
        let copies = lock(&self.known).stop_running(self.key);
        self.release.get_or_insert_default().extend(copies);
    }

    /// Acknowledges the message and every copy of it that came while it was worked on.
    /// Unless it was released, those that come later are copies too.
    pub(crate) async fn acknowledge(mut self) {
        let copies = if let Some(copies) = self.release.take() {
            copies
        } else {
            let mut known = lock(&self.known);
            // Before the acknowledgement is sent: it may be lost with the connection, and the copy may come at once.
            known.finished.insert(self.key);
            known.stop_running(self.key)
        };
        if let Some(message) = self.message.take() {
            settled(message.acknowledge().await);
        }
        for copy in copies {
            settled(copy.acknowledge().await);
        }
    }

    /// Gives the message back to the broker; its copies go with it.
    pub(crate) async fn requeue(mut self) {
        // A released message is not in progress any more; what is in progress under its id is another message.
        if self.release.take().is_none() {
            drop(lock(&self.known).stop_running(self.key));
        }
        if let Some(message) = self.message.take() {
            settled(message.requeue().await);
        }
    }

    /// Panics once the message was taken, after which no method of the delivery can be called.
    fn incoming(&self) -> &dyn IncomingMessage {
        self.message.as_deref().expect("the message is taken only by what consumes the delivery")
    }
}

/// A delivery that is dropped unsettled is no longer in progress: the next delivery of the message counts as the first.
impl Drop for Delivery {
    fn drop(&mut self) {
        if self.message.is_some() && self.release.is_none() {
            drop(lock(&self.known).stop_running(self.key));
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("message", &self.message).finish_non_exhaustive()
    }
}

/// A settlement that failed has no effect but that the message comes again, marked.
pub(crate) fn settled(outcome: Result<()>) {
    if let Err(error) = outcome {
        debug!(%error, "a message was not settled and will come again");
    }
}

/// Enters a poisoned lock, so that one panic does not stop the deliveries of a whole subscription.
fn lock(known: &Mutex<KnownMessages>) -> MutexGuard<'_, KnownMessages> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;

    /// A message that counts with others how many of them were acknowledged.
    #[derive(Debug)]
    struct Counted(Message, Arc<AtomicUsize>);

    #[async_trait]
    impl IncomingMessage for Counted {
        fn message(&self) -> &Message {
            &self.0
        }

        fn redelivered(&self) -> bool {
            false
        }

        async fn acknowledge(self: Box<Self>) -> Result<()> {
            self.1.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }

        async fn requeue(self: Box<Self>) -> Result<()> {
            Ok(())
        }

        async fn reject(self: Box<Self>) -> Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_comes_under_the_id_of_a_message_that_was_let_go_is_no_copy_of_it() {
        let (deliveries, acknowledged) = (Deliveries::new(Settle::ByReceiver), Arc::new(AtomicUsize::new(0)));
        let check =
            || deliveries.check(MessageKey::of("id"), Box::new(Counted(Message::new("{}"), Arc::clone(&acknowledged))));
        let DuplicateCheck::First(mut given_up) = check() else { panic!("nothing came before it") };
        assert!(matches!(check(), DuplicateCheck::InProgress));
        given_up.release();
        let DuplicateCheck::First(again) = check() else { panic!("it is its dead letter, sent again") };
        given_up.acknowledge().await;
        assert_eq!(acknowledged.load(Ordering::Relaxed), 2, "with the copy that came before");
        assert!(matches!(check(), DuplicateCheck::InProgress));
        again.acknowledge().await;
        assert!(matches!(check(), DuplicateCheck::Finished(_)));
    }

    #[tokio::test]
    async fn what_was_let_go_and_is_given_back_leaves_what_came_after_it_alone() {
        let deliveries = Deliveries::new(Settle::ByReceiver);
        let check = || deliveries.check(MessageKey::of("id"), Box::new(Counted(Message::new("{}"), Arc::default())));
        let DuplicateCheck::First(mut given_up) = check() else { panic!("nothing came before it") };
        given_up.release();
        let DuplicateCheck::First(_again) = check() else { panic!("it was let go") };
        given_up.requeue().await;
        assert!(matches!(check(), DuplicateCheck::InProgress), "it is worked on");
    }
}
