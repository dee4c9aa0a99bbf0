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
    /// Holds the deadline of the stop from the first request on.
    stop: watch::Receiver<Option<Deadline>>,
    /// Cancelled when the queues were lost.
    lost: CancellationToken,
}

/// Why the listener takes no more events, which decides whether they can still be requeued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShutdownCause {
    /// The listener was asked to stop: its unsettled events can still be requeued.
    Stopped,
    /// The listener has lost its queues: the broker delivers its unsettled events to others.
    Lost,
}

impl ShutdownSignal {
    pub(super) fn new(stop: watch::Receiver<Option<Deadline>>) -> Self {
        Self { stop, lost: CancellationToken::new() }
    }

    /// Releases all held events unsettled, since nothing can be settled in lost queues.
    pub(super) fn lose(&self) {
        self.lost.cancel();
    }

    /// Stays true: a listener that has lost its queues never gets them back.
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
