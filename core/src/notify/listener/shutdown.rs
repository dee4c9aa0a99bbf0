//! When events may not wait in memory any more.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Deadline;
use crate::lifecycle::asked;

/// Tells what waits in memory that the listener takes no more events.
#[derive(Debug, Clone)]
pub(super) struct Halt {
    /// Set once the listener is to stop.
    stop: watch::Receiver<Option<Deadline>>,
    lost: CancellationToken,
}

/// Why the listener takes no more events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halted {
    /// It was asked to stop.
    Stopped,
    /// It has lost its queues, or they have ended: what it has in hand is not its own any more.
    Lost,
}

impl Halt {
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
    pub(super) async fn halted(&self) -> Halted {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            () = self.lost.cancelled() => Halted::Lost,
            () = asked(&mut stop) => Halted::Stopped,
        }
    }
}
