//! A listener or a notifier that is a process of another implementation.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::RwLock;

use super::command::{Command, Listen, Notify};
use super::process_handlers::ProcessHandlers;
use crate::Stage;
use crate::foreign::Foreign;
use crate::foreign::process::Process;
use crate::programs::notify::handler::Handler;
use crate::programs::rpc::Outcome;

/// Hired for one program. When it is dropped, an idle process returns to the pool; any other is killed.
#[derive(Debug)]
pub(in crate::programs::notify) struct ProcessActor {
    foreign: Foreign,
    /// The timeout of a command: longer than any rule allows, so that the rule fails and not the wait.
    patience: Duration,
    hired: RwLock<Hired>,
}

#[derive(Debug)]
struct Hired {
    /// `None` once it is killed, until the listener is started again.
    process: Option<Process>,
    /// `None` unless the process listens.
    handlers: Option<Arc<ProcessHandlers>>,
}

impl ProcessActor {
    /// An actor with a process that takes commands.
    ///
    /// Fails if the harness has no processes, or this one does not start.
    pub(super) async fn hire(stage: &Stage) -> Result<Self, String> {
        let foreign = stage.foreign()?;
        let hired = RwLock::new(Hired { process: Some(foreign.take().await?), handlers: None });
        Ok(Self { foreign, patience: stage.budget().arrive * 3, hired })
    }

    /// Starts to listen; `handler` decides what becomes of the events.
    ///
    /// Fails if the process does not start, or the listener does not.
    pub(in crate::programs::notify) async fn listen(&self, listen: Listen, handler: Handler) -> Result<(), String> {
        let mut hired = self.hired.write().await;
        let process = match hired.process.take() {
            Some(process) => process,
            None => self.foreign.take().await?,
        };
        let handlers = Arc::new(ProcessHandlers::new(handler, process.answers()));
        process.report_to(Some(Arc::clone(&handlers) as _));
        *hired = Hired { process: Some(process), handlers: Some(handlers) };
        drop(hired);
        self.ask(&Command::Listen(listen)).await
    }

    /// Stops the listener and waits until its handlers have ended.
    ///
    /// Fails if it does not end in time, or the process has ended.
    pub(in crate::programs::notify) async fn stop(&self) -> Result<(), String> {
        self.ask(&Command::Stop).await?;
        self.hired.write().await.handlers = None;
        Ok(())
    }

    /// Kills the process and starts another one in the background.
    pub(in crate::programs::notify) async fn kill(&self) {
        let mut hired = self.hired.write().await;
        if let Some(process) = hired.process.take() {
            // A report that was not read has no effect, because its handler waits for the answer. It is dropped here:
            // after the kill it would come too late in the history.
            process.report_to(None);
            hired.handlers.take().inspect(|handlers| handlers.kill());
            self.foreign.kill(process);
        }
    }

    /// Publishes an event and waits for its confirm.
    ///
    /// Fails if it was not published, or the process has ended.
    pub(in crate::programs::notify) async fn notify(&self, notify: Notify) -> Result<(), String> {
        self.ask(&Command::Notify(notify)).await
    }

    /// Fails for a killed process, a late or invalid answer, and every outcome but `Done`.
    async fn ask(&self, command: &(impl Serialize + Sync)) -> Result<(), String> {
        match &self.hired.read().await.process {
            Some(process) => match process.ask(command, self.patience).await? {
                Outcome::Done => Ok(()),
                Outcome::Broken { error } => Err(error),
                other => Err(format!("it answered {other:?}")),
            },
            None => Err("the process was killed".to_owned()),
        }
    }
}

impl Drop for ProcessActor {
    /// Returns an idle process to the pool.
    fn drop(&mut self) {
        let hired = self.hired.get_mut();
        if let Some(process) = hired.process.take() {
            self.foreign.give_back(process, hired.handlers.is_some());
        }
    }
}
