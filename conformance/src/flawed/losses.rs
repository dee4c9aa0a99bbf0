//! [`Losses`]: whether connections were cut since a transport or a listener was opened.

use tokio::sync::watch;

/// Compares the harness's count of cuts and restarts with the count at its own creation.
#[derive(Debug)]
pub(super) struct Losses {
    /// Grows with each cut and each restart.
    count: watch::Receiver<u64>,
    /// Earlier cuts do not concern the owner.
    before: u64,
}

impl Losses {
    /// Ignores the cuts that `count` has already.
    pub(super) fn of(count: watch::Receiver<u64>) -> Self {
        let before = *count.borrow();
        Self { count, before }
    }

    /// For a listener: cuts from before its subscription do not concern it.
    pub(super) fn since_now(&self) -> Self {
        Self::of(self.count.clone())
    }

    /// Whether there was a cut. Stays `true` when the connections are back.
    pub(super) fn any(&self) -> bool {
        *self.count.borrow() > self.before
    }

    /// Waits for the first cut; `false` if the harness ends without one.
    pub(super) fn first(&self) -> impl Future<Output = bool> + use<> {
        let (mut count, before) = (self.count.clone(), self.before);
        async move { count.wait_for(|count| *count > before).await.is_ok() }
    }
}
