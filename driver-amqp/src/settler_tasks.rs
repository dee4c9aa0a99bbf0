//! SettlerTasks that may outlive what they work for.

use std::sync::{Mutex, PoisonError};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The tasks of a transport's listeners, which finish their work after a listener was dropped. Aborted when the last owner
/// is gone: the transport, or a listener that outlives it.
#[derive(Debug, Default)]
pub(crate) struct SettlerTasks {
    running: Mutex<JoinSet<()>>,
    finishing: CancellationToken,
}

impl SettlerTasks {
    /// Starts `task`, and forgets those that have ended.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        running.spawn(task);
    }

    /// Cancelled when tasks are to do what they were told so far, and end.
    pub(crate) fn finishing(&self) -> CancellationToken {
        self.finishing.clone()
    }

    /// Has all tasks do what they were told so far, and returns once they have ended.
    ///
    /// # Cancellation
    /// Aborts those that have not.
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
        tasks.spawn(async move { done.send(()).expect("somebody waits") });
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
    async fn tasks_that_are_to_finish_are_told_and_waited_for() {
        let tasks = SettlerTasks::default();
        let (told, (done, mut ended)) = (tasks.finishing(), oneshot::channel());
        tasks.spawn(async move {
            told.cancelled().await;
            done.send(()).expect("somebody looks");
        });
        tasks.finish().await;
        assert_eq!(ended.try_recv(), Ok(()));
    }
}
