//! A listener or a notifier that is a process of another implementation.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::RwLock;

use super::command::{Command, Listen, Notify};
use super::process_ear::ProcessEar;
use crate::Stage;
use crate::programs::Foreign;
use crate::programs::notify::ear::Ear;
use crate::programs::rpc::{Outcome, Process};

/// Hired for one program; its process goes back when it is dropped, if nothing is left for it to do.
#[derive(Debug)]
pub(in crate::programs::notify) struct ProcessActor {
    foreign: Foreign,
    /// How long the end of a command may be awaited: longer than any rule allows, so that the rule fails and not the wait.
    patience: Duration,
    hired: RwLock<Hired>,
}

#[derive(Debug)]
struct Hired {
    process: Option<Process>,
    ear: Option<Arc<ProcessEar>>,
}

impl ProcessActor {
    /// An actor with a process that is ready.
    ///
    /// # Errors
    /// The harness has none, or it does not start.
    pub(super) async fn hire(stage: &Stage) -> Result<Self, String> {
        let foreign = stage.foreign()?;
        let hired = RwLock::new(Hired { process: Some(foreign.take().await?), ear: None });
        Ok(Self { foreign, patience: stage.budget().arrive * 3, hired })
    }

    /// Listens, and has `ear` handle the events.
    pub(in crate::programs::notify) async fn listen(&self, listen: Listen, ear: Ear) -> Result<(), String> {
        let mut hired = self.hired.write().await;
        let process = match hired.process.take() {
            Some(process) => process,
            None => self.foreign.take().await?,
        };
        let ear = Arc::new(ProcessEar::new(ear, process.speaker()));
        process.hear_with(Some(Arc::clone(&ear) as _));
        *hired = Hired { process: Some(process), ear: Some(ear) };
        drop(hired);
        self.ask(&Command::Listen(listen)).await
    }

    /// Stops listening, and waits until its handlers have ended.
    pub(in crate::programs::notify) async fn stop(&self) -> Result<(), String> {
        self.ask(&Command::Stop).await?;
        self.hired.write().await.ear = None;
        Ok(())
    }

    /// Vanishes as a process that has crashed.
    pub(in crate::programs::notify) async fn kill(&self) {
        let mut hired = self.hired.write().await;
        if let Some(process) = hired.process.take() {
            // What it has reported and nobody has read yet, it has not begun: it does nothing before it is answered.
            process.hear_with(None);
            hired.ear.take().inspect(|ear| ear.kill());
            process.kill();
            self.foreign.replace();
        }
    }

    /// Publishes an event, and waits until it is confirmed.
    pub(in crate::programs::notify) async fn notify(&self, notify: Notify) -> Result<(), String> {
        self.ask(&Command::Notify(notify)).await
    }

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
    fn drop(&mut self) {
        let hired = self.hired.get_mut();
        let Some(process) = hired.process.take() else { return };
        process.hear_with(None);
        if process.is_idle() && hired.ear.is_none() {
            self.foreign.give_back(process);
        }
    }
}
