//! What a listener says it has lost, and what is put back for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use lapin::Consumer;
use oslo_messaging::{Address, Result};
use tokio::sync::{Notify, mpsc};
use tokio_util::task::AbortOnDropHandle;

use crate::consume::consumer_channel::Place;
use crate::consume::consumer_plan::Reading;
use crate::consume::session::Session;
use crate::consume::subscription_opener::Opener;
use crate::recovery::listener_recovery::Keeper;

/// What was put back, and the address that the listener has now.
#[derive(Debug)]
pub(crate) enum Revived {
    Session(Box<Session>, Address),
    Consumer(Box<Resumed>, Address),
}

/// A consumer of the session that is in use, for the queue of `index`.
#[derive(Debug)]
pub(crate) struct Resumed {
    pub(crate) index: usize,
    pub(crate) consumer: Consumer,
    pub(crate) queue: Reading,
}

/// What the listener has lost.
#[derive(Debug)]
pub(crate) enum Loss {
    /// Its channel: of this number, lest a late complaint end the next one.
    Session(u64),
    /// One consumer of it.
    Consumer(u64, usize),
}

/// Where a listener finds what was put back. Dropping it ends the task.
#[derive(Debug)]
pub(crate) struct Revival {
    losses: mpsc::UnboundedSender<Loss>,
    found: Arc<Found>,
    /// The number of the session in use.
    session: u64,
    _task: AbortOnDropHandle<()>,
}

/// Where the keeper leaves what it has put back.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// With the number of the session that each is or belongs to.
    queue: Mutex<VecDeque<(u64, Result<Revived>)>>,
    more: Notify,
}

impl Revival {
    /// Starts to watch over a listener whose first session is at `place`.
    pub(crate) fn start(opener: Opener, place: Place) -> Self {
        let (losses, complaints) = mpsc::unbounded_channel();
        let found = Arc::new(Found::default());
        let keeper = Keeper::new(opener, place, complaints, Arc::clone(&found));
        Self { losses, found, session: 0, _task: AbortOnDropHandle::new(tokio::spawn(keeper.run())) }
    }

    /// Says that the channel of the session in use is lost.
    pub(crate) fn session_lost(&self) {
        let _ = self.losses.send(Loss::Session(self.session));
    }

    /// Says that the broker has ended a consumer of the session in use.
    pub(crate) fn consumer_lost(&self, index: usize) {
        let _ = self.losses.send(Loss::Consumer(self.session, index));
    }

    /// What was put back, if anything was.
    pub(crate) fn try_next(&mut self) -> Option<Result<Revived>> {
        loop {
            let (session, found) = self.found.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
            match found {
                Ok(Revived::Consumer(..)) if session != self.session => {}
                found => {
                    self.session = session;
                    return Some(found);
                }
            }
        }
    }

    /// Waits for what is put back next.
    ///
    /// # Errors
    /// A loss that cannot be repaired.
    ///
    /// # Cancellation
    /// Safe.
    pub(crate) async fn next(&mut self) -> Result<Revived> {
        loop {
            if let Some(found) = self.try_next() {
                return found;
            }
            self.found.more.notified().await;
        }
    }
}

impl Found {
    pub(crate) fn put(&self, session: u64, found: Result<Revived>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(found, Ok(Revived::Session(..))) {
            // What nobody took in time is of a channel that is lost.
            queue.clear();
        }
        queue.push_back((session, found));
        self.more.notify_one();
    }
}
