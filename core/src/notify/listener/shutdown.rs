//! The signal that ends the waits of held events.
//!
//! The two causes differ in what is left to do: a listener that stops can still requeue its events; one that has lost
//! its queues cannot settle anything, and the broker delivers the events again by itself.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Deadline;
use crate::lifecycle::stop_requested;

/// Signals that held events must be released: the listener is stopping, or its queues were lost.
#[derive(Debug, Clone)]
pub(super) struct ShutdownSignal {
    /// Set once the listener is to stop.
    stop: watch::Receiver<Option<Deadline>>,
    /// Cancelled when the queues were lost.
    lost: CancellationToken,
}

/// Why the listener takes no more events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShutdownCause {
    /// The listener was asked to stop.
    Stopped,
    /// The listener has lost its queues: the broker delivers its unsettled events to others.
    Lost,
}

impl ShutdownSignal {
    pub(super) fn new(stop: watch::Receiver<Option<Deadline>>) -> Self {
        Self { stop, lost: CancellationToken::new() }
    }

    /// Says that the listener has lost its queues.
    pub(super) fn lose(&self) {
        self.lost.cancel();
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Waits until the listener takes no more events.
    pub(super) async fn signalled(&self) -> ShutdownCause {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            // First: where the queues are lost, a request to stop has nothing to requeue.
            () = self.lost.cancelled() => ShutdownCause::Lost,
            () = stop_requested(&mut stop) => ShutdownCause::Stopped,
        }
    }
}
