//! A message in hand, with the copies of it that came while it was worked on.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::debug;

use crate::duplicate::DuplicateFilter;
use crate::{IncomingMessage, Message, Result, Settle};

/// How many `_unique_id`s of the past are remembered, and for how long: more than a broker hands over again after a
/// lost connection, for longer than a connection takes to come back.
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
    unique_id: String,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug)]
struct Known {
    finished: DuplicateFilter,
    /// What is neither finished nor settled, each with the copies that came meanwhile.
    running: HashMap<String, Vec<Box<dyn IncomingMessage>>>,
}

impl Deliveries {
    pub(crate) fn new(settle: Settle) -> Self {
        let finished = DuplicateFilter::new(REMEMBERED, REMEMBERED_FOR);
        Self { settle, known: Arc::new(Mutex::new(Known { finished, running: HashMap::new() })) }
    }

    /// Looks `unique_id` up. What was settled before handover is finished from the start; else it is once it is
    /// acknowledged.
    pub(crate) fn see(&self, unique_id: String, message: Box<dyn IncomingMessage>) -> Seen {
        let mut known = lock(&self.known);
        let first = match self.settle {
            Settle::BeforeHandover => known.finished.insert(&unique_id),
            Settle::ByReceiver => unique_id.is_empty() || !known.finished.contains(&unique_id),
        };
        if !first {
            debug!(unique_id, "a message came twice and was handled once");
            return Seen::Finished(message);
        }
        if self.settle == Settle::ByReceiver && !unique_id.is_empty() {
            if let Some(copies) = known.running.get_mut(&unique_id) {
                copies.push(message);
                return Seen::Running;
            }
            known.running.insert(unique_id.clone(), Vec::new());
        }
        Seen::First(Delivery { message: Some(message), unique_id, known: Arc::clone(&self.known) })
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

    pub(crate) fn unique_id(&self) -> &str {
        &self.unique_id
    }

    /// Acknowledges the message and every copy of it that came while it was worked on.
    pub(crate) async fn acknowledge(mut self) {
        let copies = {
            let mut known = lock(&self.known);
            known.finished.insert(&self.unique_id);
            known.running.remove(&self.unique_id).unwrap_or_default()
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
        drop(lock(&self.known).running.remove(&self.unique_id));
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
        if self.message.is_some() {
            lock(&self.known).running.remove(&self.unique_id);
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
