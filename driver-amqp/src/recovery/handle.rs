//! The listener's side of its recovery: it reports losses, and receives what is restored. Neither waits for a broker.

use std::sync::{Arc, PoisonError};

use oslo_messaging::Result;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::consume::consumer_channel::ConsumerChannel;
use crate::consume::subscription_opener::SubscriptionOpener;
use crate::recovery::listener_recovery::ListenerRecovery;
use crate::recovery::restored::{LossReport, Restored, RestoredQueue};

/// Connects a listener with its [`ListenerRecovery`]. Dropping it aborts the recovery.
#[derive(Debug)]
pub(crate) struct RecoveryHandle {
    /// Dropping it tells the recovery that the listener is gone.
    losses: mpsc::UnboundedSender<LossReport>,
    /// Filled by the recovery task, emptied by the listener.
    restored: Arc<RestoredQueue>,
    /// The number of the session in use.
    session: u64,
    /// The listener owns the task through it.
    _task: AbortOnDropHandle<()>,
}

impl RecoveryHandle {
    /// Starts the recovery task of a listener whose first session uses `channel`.
    ///
    /// Must run inside of a tokio runtime. The recovery registers with the barrier
    /// and the queue checks before this returns.
    pub(crate) fn start(opener: SubscriptionOpener, channel: ConsumerChannel) -> Self {
        let (losses, reported) = mpsc::unbounded_channel();
        let restored = Arc::new(RestoredQueue::default());
        let recovery = ListenerRecovery::new(opener, channel, reported, Arc::clone(&restored));
        Self { losses, restored, session: 0, _task: AbortOnDropHandle::new(tokio::spawn(recovery.run())) }
    }

    /// Asks the recovery for another session, because the channel of the one in use is lost.
    /// Ignored if the recovery has ended: its error is in the queue then.
    pub(crate) fn session_lost(&self) {
        let _ = self.losses.send(LossReport::Session(self.session));
    }

    /// Reports that the broker cancelled the consumer at `index` of the session in use. It waits before it is restored.
    pub(crate) fn consumer_lost(&self, index: usize) {
        let _ = self.losses.send(LossReport::Consumer(self.session, index));
    }

    /// The next restored session or consumer, if there is one. Consumers of earlier sessions are skipped.
    /// Taking a session makes it the one in use: later reports carry its number.
    pub(crate) fn try_next(&mut self) -> Option<Result<Restored>> {
        loop {
            let (session, restored) = self.restored.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
            match restored {
                Ok(Restored::Consumer(..)) if session != self.session => {}
                restored => {
                    // Also for an error, which carries the number of the last session.
                    self.session = session;
                    return Some(restored);
                }
            }
        }
    }

    /// Waits for the next restored session or consumer; a consumer of an earlier session is skipped.
    ///
    /// Fails with the error that ends the listener, when its recovery gave up.
    ///
    /// Cancellation loses nothing: what was restored stays in the queue.
    pub(crate) async fn next(&mut self) -> Result<Restored> {
        loop {
            if let Some(restored) = self.try_next() {
                return restored;
            }
            self.restored.more.notified().await;
        }
    }
}
