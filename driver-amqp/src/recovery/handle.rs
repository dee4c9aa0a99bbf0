//! What a listener says it has lost, and what is put back for it.

use std::sync::{Arc, PoisonError};

use oslo_messaging::Result;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::consume::consumer_channel::ConsumerChannel;
use crate::consume::subscription_opener::SubscriptionOpener;
use crate::recovery::listener_recovery::ListenerRecovery;
use crate::recovery::restored::{LossReport, Restored, RestoredQueue};

/// Where a listener finds what was put back. Dropping it ends the task.
#[derive(Debug)]
pub(crate) struct RecoveryHandle {
    losses: mpsc::UnboundedSender<LossReport>,
    found: Arc<RestoredQueue>,
    /// The number of the session in use.
    session: u64,
    _task: AbortOnDropHandle<()>,
}

impl RecoveryHandle {
    /// Starts to watch over a listener whose first session is at `channel`.
    pub(crate) fn start(opener: SubscriptionOpener, channel: ConsumerChannel) -> Self {
        let (losses, reported) = mpsc::unbounded_channel();
        let found = Arc::new(RestoredQueue::default());
        let recovery = ListenerRecovery::new(opener, channel, reported, Arc::clone(&found));
        Self { losses, found, session: 0, _task: AbortOnDropHandle::new(tokio::spawn(recovery.run())) }
    }

    /// Says that the channel of the session in use is lost.
    pub(crate) fn session_lost(&self) {
        let _ = self.losses.send(LossReport::Session(self.session));
    }

    /// Says that the broker has ended a consumer of the session in use.
    pub(crate) fn consumer_lost(&self, index: usize) {
        let _ = self.losses.send(LossReport::Consumer(self.session, index));
    }

    /// What was put back, if anything was.
    pub(crate) fn try_next(&mut self) -> Option<Result<Restored>> {
        loop {
            let (session, found) = self.found.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
            match found {
                Ok(Restored::Consumer(..)) if session != self.session => {}
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
    pub(crate) async fn next(&mut self) -> Result<Restored> {
        loop {
            if let Some(found) = self.try_next() {
                return found;
            }
            self.found.more.notified().await;
        }
    }
}
