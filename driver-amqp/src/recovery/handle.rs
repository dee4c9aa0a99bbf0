//! What a listener says it has lost, and what is put back for it.

use std::sync::{Arc, PoisonError};

use oslo_messaging::Result;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::consume::consumer_channel::Place;
use crate::consume::subscription_opener::Opener;
use crate::recovery::listener_recovery::Keeper;
use crate::recovery::restored::{Found, Loss, Revived};

/// Where a listener finds what was put back. Dropping it ends the task.
#[derive(Debug)]
pub(crate) struct Revival {
    losses: mpsc::UnboundedSender<Loss>,
    found: Arc<Found>,
    /// The number of the session in use.
    session: u64,
    _task: AbortOnDropHandle<()>,
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
