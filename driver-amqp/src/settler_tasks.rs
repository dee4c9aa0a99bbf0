//! The tasks that write the decisions of receivers; they may outlive their listeners.
//!
//! A listener can be dropped with decisions that its receivers were promised to be written.
//! So its settler belongs to the transport.

use std::sync::{Mutex, PoisonError};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The settler tasks of a transport. They finish their work after their listener is dropped,
/// and are aborted when the last owner is dropped: the transport, or a listener that outlives it.
#[derive(Debug, Default)]
pub(crate) struct SettlerTasks {
    /// Dropping the set aborts its tasks.
    running: Mutex<JoinSet<()>>,
    /// Cancelled once, by `finish`.
    finishing: CancellationToken,
}

impl SettlerTasks {
    /// Starts `task` on the current tokio runtime; panics outside of one. Removes the tasks that have ended.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // Otherwise the set would keep one entry per listener that ever was.
        while running.try_join_next().is_some() {}
        running.spawn(task);
    }

    /// Cancelled when the tasks must write what they have and end. A clone: cancelling is left to `finish`.
    pub(crate) fn finishing(&self) -> CancellationToken {
        self.finishing.clone()
    }

    /// Makes all tasks write what they have, and waits until they have ended.
    ///
    /// A task that is spawned afterwards sees the cancelled token, writes what it has and ends.
    ///
    /// Cancellation aborts those that have not ended.
    pub(crate) async fn finish(&self) {
        self.finishing.cancel();
        let mut running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        while running.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn tasks_run_to_their_end_are_forgotten_then_and_go_with_their_owner() {
        let tasks = SettlerTasks::default();
        let (done, ended) = oneshot::channel();
        tasks.spawn(async move { done.send(()).expect("the test waits") });
        ended.await.expect("it ran");
        tokio::task::yield_now().await;
        let (held, gone) = oneshot::channel::<()>();
        tasks.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        assert_eq!(tasks.running.lock().unwrap().len(), 1);
        drop(tasks);
        assert!(gone.await.is_err());
    }

    #[tokio::test]
    async fn tasks_that_are_to_finish_are_signalled_and_awaited() {
        let tasks = SettlerTasks::default();
        let (finishing, (done, mut ended)) = (tasks.finishing(), oneshot::channel());
        tasks.spawn(async move {
            finishing.cancelled().await;
            done.send(()).expect("the test looks");
        });
        tasks.finish().await;
        assert_eq!(ended.try_recv(), Ok(()));
    }
}
