//! An actor that is a process of another implementation.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use tokio::sync::RwLock;

use super::{Actor, ActorSource, Command};
use crate::foreign::Foreign;
use crate::foreign::process::{Process, Report, Reports};
use crate::programs::rpc::history::{Event, Log, Outcome};
use crate::{Failed, Stage};

/// A report that a method ended, by the server and the number of its request.
#[derive(Deserialize)]
struct Finished {
    server: usize,
    number: usize,
}

impl Reports for Log {
    fn report(&self, report: Report) -> bool {
        let event = match report {
            Report::Ran(run) => serde_json::from_value(run).map(Event::Ran),
            Report::Finished(finished) => {
                serde_json::from_value(finished).map(|Finished { server, number }| Event::Finished { server, number })
            }
            Report::Heard(_) => return false,
        };
        event.map(|event| self.note(event)).is_ok()
    }
}

/// An actor for one program. Dropping it returns its process to the pool, if the process is idle.
#[derive(Debug)]
struct ProcessActor {
    foreign: Foreign,
    log: Log,
    /// How long to wait for the outcome of a command, in addition to the time that the command itself takes.
    patience: Duration,
    hired: RwLock<Hired>,
}

/// Changes when the process is killed, and when the next one starts.
#[derive(Debug)]
struct Hired {
    /// `None` after a kill, until the next start.
    process: Option<Process>,
    /// Whether a server may run in it. Such a process is not reused.
    serving: bool,
}

#[async_trait]
impl ActorSource for Foreign {
    /// Fails if no process is idle and none can be started.
    async fn hire(&self, stage: &Stage, log: &Log) -> Result<Arc<dyn Actor>, Failed> {
        let hired = Hired { process: Some(hire(self, log).await?), serving: false };
        // Longer than any rule allows, so that a late answer breaks the rule and not this wait.
        let patience = stage.budget().arrive * 3;
        Ok(Arc::new(ProcessActor { foreign: self.clone(), log: log.clone(), patience, hired: RwLock::new(hired) }))
    }
}

/// From here on the reports of the process go into `log`.
async fn hire(foreign: &Foreign, log: &Log) -> Result<Process, String> {
    let process = foreign.take().await?;
    process.report_to(Some(Arc::new(log.clone())));
    Ok(process)
}

#[async_trait]
impl Actor for ProcessActor {
    /// An error of the process becomes [`Outcome::Broken`], which breaks a rule.
    async fn perform(&self, command: Command) -> Outcome {
        let outcome = match &command {
            Command::Start { .. } => self.start(&command).await,
            Command::Stop => self.stop(&command).await,
            Command::Hurry { .. } => Err("a foreign server cannot be stopped in a hurry".to_owned()),
            Command::Kill => {
                self.kill().await;
                Ok(Outcome::Done)
            }
            Command::Tell => self.ask(&command, self.patience).await,
            Command::Send { timeout_ms, .. } => {
                self.ask(&command, Duration::from_millis(*timeout_ms) + self.patience).await
            }
        };
        outcome.unwrap_or_else(|error| Outcome::Broken { error })
    }
}

impl ProcessActor {
    /// Takes a new process if the last one was killed.
    async fn start(&self, command: &Command) -> Result<Outcome, String> {
        let mut hired = self.hired.write().await;
        hired.serving = true;
        if hired.process.is_none() {
            hired.process = Some(hire(&self.foreign, &self.log).await?);
        }
        drop(hired);
        self.ask(command, self.patience).await
    }

    /// The process counts as serving until a stop has succeeded, so that it is not reused before.
    async fn stop(&self, command: &Command) -> Result<Outcome, String> {
        let outcome = self.ask(command, self.patience).await?;
        self.hired.write().await.serving = outcome != Outcome::Done;
        Ok(outcome)
    }

    /// Kills the process and starts its replacement in advance.
    async fn kill(&self) {
        let mut hired = self.hired.write().await;
        if let Some(process) = hired.process.take() {
            self.foreign.kill(process);
        }
        hired.serving = false;
    }

    /// Fails for a killed process, and if the outcome does not come within `at_most`.
    async fn ask(&self, command: &Command, at_most: Duration) -> Result<Outcome, String> {
        match &self.hired.read().await.process {
            Some(process) => process.ask(command, at_most).await,
            None => Err("the process was killed".to_owned()),
        }
    }
}

impl Drop for ProcessActor {
    /// Kills the process unless it is idle and serves nothing.
    fn drop(&mut self) {
        let hired = self.hired.get_mut();
        if let Some(process) = hired.process.take() {
            self.foreign.give_back(process, hired.serving);
        }
    }
}
