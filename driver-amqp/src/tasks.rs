//! Tasks that may outlive what they work for.

use std::sync::{Mutex, PoisonError};

use tokio::task::JoinSet;

/// The tasks of a transport's listeners, which finish their work after a listener was dropped. Aborted when the last owner
/// is gone: the transport, or a listener that outlives it.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<JoinSet<()>>);

impl Tasks {
    /// Starts `task`, and forgets those that have ended.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn tasks_run_to_their_end_are_forgotten_then_and_go_with_their_owner() {
        let tasks = Tasks::default();
        let (done, ended) = oneshot::channel();
        tasks.spawn(async move { done.send(()).expect("somebody waits") });
        ended.await.expect("it ran");
        tokio::task::yield_now().await;
        let (held, gone) = oneshot::channel::<()>();
        tasks.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        assert_eq!(tasks.0.lock().unwrap().len(), 1);
        drop(tasks);
        assert!(gone.await.is_err());
    }
}
