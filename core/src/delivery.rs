//! A message in hand, with the copies of it that came while it was worked on.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::debug;

use crate::decoding::Charge;
use crate::duplicate::DuplicateFilter;
use crate::message_key::MessageKey;
use crate::text::Excerpt;
use crate::{DeliveryCount, IncomingMessage, Message, Result, Settle};

/// How many messages of the past are remembered, and for how long: more than a broker hands over again after a
/// lost connection, for longer than a connection takes to come back. They take 1 MiB at most, whatever their ids are.
const REMEMBERED: usize = 10_000;
const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// Tells first messages from copies. One for each subscription: a fanout to fifty servers of one process is not
/// fifty duplicates.
#[derive(Debug)]
pub(crate) struct Deliveries {
    settle: Settle,
    known: Arc<Mutex<Known>>,
}

/// What a message is.
#[derive(Debug)]
pub(crate) enum Seen {
    First(Delivery),
    /// It was done with before; the copy only has to be settled.
    Finished(Box<dyn IncomingMessage>),
    /// It is being worked on; the copy is settled with it.
    Running,
}

/// A message that is being worked on. Dropping it unsettled gives it, and its copies, back to the broker.
pub(crate) struct Delivery {
    /// Taken when it is settled.
    message: Option<Box<dyn IncomingMessage>>,
    key: Option<MessageKey>,
    /// What its content holds of the budget until the message is done with.
    charge: Option<Charge>,
    known: Arc<Mutex<Known>>,
    /// The copies that came before it was let go; `None` while it is on the list of what runs.
    let_go: Option<Vec<Box<dyn IncomingMessage>>>,
}

#[derive(Debug)]
struct Known {
    finished: DuplicateFilter,
    /// What is neither finished nor settled, each with the copies that came meanwhile.
    running: HashMap<MessageKey, Vec<Box<dyn IncomingMessage>>>,
}

impl Deliveries {
    pub(crate) fn new(settle: Settle) -> Self {
        let finished = DuplicateFilter::new(REMEMBERED, REMEMBERED_FOR);
        Self { settle, known: Arc::new(Mutex::new(Known { finished, running: HashMap::new() })) }
    }

    /// Looks `unique_id` up. What was settled before handover is finished from the start; else it is once it is
    /// acknowledged.
    pub(crate) fn see(&self, unique_id: &str, message: Box<dyn IncomingMessage>) -> Seen {
        let key = MessageKey::of(unique_id);
        let mut known = lock(&self.known);
        let first = match self.settle {
            Settle::BeforeHandover => known.finished.insert(key),
            Settle::ByReceiver => !known.finished.contains(key),
        };
        if !first {
            debug!(unique_id = %Excerpt(unique_id), "a message came twice and was handled once");
            return Seen::Finished(message);
        }
        if let Some(key) = key.filter(|_| self.settle == Settle::ByReceiver) {
            if let Some(copies) = known.running.get_mut(&key) {
                copies.push(message);
                return Seen::Running;
            }
            known.running.insert(key, Vec::new());
        }
        let known = Arc::clone(&self.known);
        Seen::First(Delivery { message: Some(message), key, charge: None, known, let_go: None })
    }
}

impl Known {
    /// Takes the message off the list of what runs; its copies that came meanwhile.
    fn stop_running(&mut self, key: Option<MessageKey>) -> Vec<Box<dyn IncomingMessage>> {
        key.and_then(|key| self.running.remove(&key)).unwrap_or_default()
    }
}

impl Delivery {
    /// The message.
    pub(crate) fn message(&self) -> &Message {
        self.incoming().message()
    }

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

    /// The delivery count of the message or of a copy of it, whichever failed more often: after a lost connection the message
    /// comes again while its first copy is still worked on.
    pub(crate) fn delivery_count(&self) -> Option<DeliveryCount> {
        let most_failed = |copies: &[Box<dyn IncomingMessage>]| {
            copies.iter().filter_map(|copy| copy.message().delivery_count).max_by_key(|count| count.failed)
        };
        let copies = match &self.let_go {
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

    /// Takes it off the list, before its dead letter is written: from now on another message of the same `_unique_id` is
    /// no copy of it, but what it left behind, sent again.
    pub(crate) fn let_go(&mut self) {
        let copies = lock(&self.known).stop_running(self.key);
        self.let_go.get_or_insert_default().extend(copies);
    }

    /// Acknowledges the message and every copy of it that came while it was worked on. Unless it was let go, those that
    /// come later are copies too.
    pub(crate) async fn acknowledge(mut self) {
        let copies = if let Some(copies) = self.let_go.take() {
            copies
        } else {
            let mut known = lock(&self.known);
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
        // One that was let go is on the list no more; what is there under its id is another.
        if self.let_go.take().is_none() {
            drop(lock(&self.known).stop_running(self.key));
        }
        if let Some(message) = self.message.take() {
            settled(message.requeue().await);
        }
    }

    fn incoming(&self) -> &dyn IncomingMessage {
        self.message.as_deref().expect("the message is taken only by what consumes the delivery")
    }
}

/// What was given up is nobody's: the next delivery of it is worked on.
impl Drop for Delivery {
    fn drop(&mut self) {
        if self.message.is_some() && self.let_go.is_none() {
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

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
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
        let see = || deliveries.see("id", Box::new(Counted(Message::new("{}"), Arc::clone(&acknowledged))));
        let Seen::First(mut given_up) = see() else { panic!("nothing came before it") };
        assert!(matches!(see(), Seen::Running));
        given_up.let_go();
        let Seen::First(again) = see() else { panic!("it is its dead letter, sent again") };
        given_up.acknowledge().await;
        assert_eq!(acknowledged.load(Ordering::Relaxed), 2, "with the copy that came before");
        assert!(matches!(see(), Seen::Running));
        again.acknowledge().await;
        assert!(matches!(see(), Seen::Finished(_)));
    }

    #[tokio::test]
    async fn what_was_let_go_and_is_given_back_leaves_what_came_after_it_alone() {
        let deliveries = Deliveries::new(Settle::ByReceiver);
        let see = || deliveries.see("id", Box::new(Counted(Message::new("{}"), Arc::default())));
        let Seen::First(mut given_up) = see() else { panic!("nothing came before it") };
        given_up.let_go();
        let Seen::First(_again) = see() else { panic!("it was let go") };
        given_up.requeue().await;
        assert!(matches!(see(), Seen::Running), "it is worked on");
    }
}
