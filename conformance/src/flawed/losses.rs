//! The cuts since an object was created.

use tokio::sync::watch;

/// Counts cuts from the time of its creation.
#[derive(Debug)]
pub(super) struct Losses {
    count: watch::Receiver<u64>,
    /// The count at the time of creation.
    before: u64,
}

impl Losses {
    /// The cuts that `count` counts from now on.
    pub(super) fn of(count: watch::Receiver<u64>) -> Self {
        let before = *count.borrow();
        Self { count, before }
    }

    /// A new counter that starts now.
    pub(super) fn since_now(&self) -> Self {
        Self::of(self.count.clone())
    }

    /// Whether there was a cut.
    pub(super) fn any(&self) -> bool {
        *self.count.borrow() > self.before
    }

    /// Waits for the first cut; `false` if the harness ends without one.
    pub(super) fn first(&self) -> impl Future<Output = bool> + use<> {
        let (mut count, before) = (self.count.clone(), self.before);
        async move { count.wait_for(|count| *count > before).await.is_ok() }
    }
}
