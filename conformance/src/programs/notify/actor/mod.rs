//! The foreign actors of a program: one process for each of its foreign listeners and notifiers.

mod command;
mod process_actor;
mod process_handlers;

use std::collections::BTreeMap;

use super::program::{Program, Step};
use crate::{Failed, Stage};

pub(super) use command::{Listen, Notify};
pub(super) use process_actor::ProcessActor;

/// The foreign actors of one program, by the index of their listener or notifier.
#[derive(Debug, Default)]
pub(super) struct ForeignActors {
    listeners: BTreeMap<usize, ProcessActor>,
    notifiers: BTreeMap<usize, ProcessActor>,
}

impl ForeignActors {
    /// Hires one process for each foreign listener and notifier.
    ///
    /// Fails if the harness has no processes, or one does not start.
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

    /// `None` if this library plays the actor of `step`, and for a cut.
    pub(super) fn of(&self, step: &Step) -> Option<&ProcessActor> {
        match step {
            Step::Start { actor } | Step::Stop { actor } | Step::Hurry { actor } | Step::Kill { actor } => {
                self.listeners.get(actor)
            }
            Step::Send { sender: notifier, .. } => self.notifiers.get(notifier),
            Step::Cut { .. } => None,
        }
    }
}
