//! The losses of connections since something was made.

use tokio::sync::watch;

#[derive(Debug)]
pub(super) struct Losses {
    count: watch::Receiver<u64>,
    before: u64,
}

impl Losses {
    /// Those that `count` counts from now on.
    pub(super) fn of(count: watch::Receiver<u64>) -> Self {
        let before = *count.borrow();
        Self { count, before }
    }

    /// The same, but only from now on.
    pub(super) fn since_now(&self) -> Self {
        Self::of(self.count.clone())
    }

    /// Whether there was one.
    pub(super) fn any(&self) -> bool {
        *self.count.borrow() > self.before
    }

    /// Waits until there is one; false if there will be none.
    pub(super) fn first(&self) -> impl Future<Output = bool> + use<> {
        let (mut count, before) = (self.count.clone(), self.before);
        async move { count.wait_for(|count| *count > before).await.is_ok() }
    }
}
