//! The foreign actors of a program: a process for each listener and each notifier that is none of ours.

mod command;
mod process_actor;
mod process_ear;

use std::collections::BTreeMap;

use libtest_mimic::Failed;

use super::program::{Program, Step};
use crate::Stage;

pub(super) use command::{Listen, Notify};
pub(super) use process_actor::ProcessActor;

/// Every foreign actor of one program, by its place in it.
#[derive(Debug, Default)]
pub(super) struct ForeignActors {
    listeners: BTreeMap<usize, ProcessActor>,
    notifiers: BTreeMap<usize, ProcessActor>,
}

impl ForeignActors {
    /// Hires a process for each of them.
    ///
    /// # Errors
    /// The harness has none, or one does not start.
    pub(super) async fn hire(stage: &Stage, program: &Program) -> Result<Self, Failed> {
        let mut actors = Self::default();
        for place in (0..program.listeners.len()).filter(|place| program.listeners[*place].foreign) {
            actors.listeners.insert(place, ProcessActor::hire(stage).await?);
        }
        for place in &program.foreign_notifiers {
            actors.notifiers.insert(*place, ProcessActor::hire(stage).await?);
        }
        Ok(actors)
    }

    /// The foreign actor that does `step`.
    pub(super) fn of(&self, step: &Step) -> Option<&ProcessActor> {
        match step {
            Step::Start { listener } | Step::Stop { listener } | Step::Kill { listener } => {
                self.listeners.get(listener)
            }
            Step::Tell { notifier, .. } => self.notifiers.get(notifier),
            Step::Cut { .. } => None,
        }
    }
}
