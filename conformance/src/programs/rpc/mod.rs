//! Programs of RPC: servers of a generated topology start and stop while calls, casts and fanouts are in flight.

mod actor;
mod cast;
mod check;
mod code;
mod determined;
mod divergence;
mod history;
mod model;
mod play;
mod program;
mod request;
mod rules;
mod strategy;
mod timeline;
mod whole;

use proptest::strategy::{BoxedStrategy, Strategy};

use super::explore::hold;
use super::{Actors, Divergence, Generated, Perils, Rule, Violation};
use crate::case::BoxFuture;
use crate::{Harness, Stage};

pub(crate) use actor::process::{Hear, Process, Speaker};
pub(crate) use history::Outcome;
use libtest_mimic::Failed;
pub(crate) use program::Step;
pub use program::{Act, Program, Server};
pub use request::{Method, Request};

impl Program {
    /// Runs this program: what a test does with one that was pasted.
    ///
    /// # Errors
    /// It broke a rule; the message says which, and how.
    pub fn hold(&self, harness: impl Harness) -> Result<(), Failed> {
        hold(self, harness)
    }
}

impl Generated for Program {
    const NAME: &'static str = "rpc";

    fn rules() -> &'static [&'static Rule] {
        rules::ALL
    }

    fn divergences() -> Vec<Divergence> {
        divergence::ALL.iter().map(|divergence| **divergence).collect()
    }

    fn leftover() -> &'static Rule {
        &rules::NOTHING_LEFT
    }

    fn strategy(perils: Perils) -> BoxedStrategy<Self> {
        strategy::programs(perils).boxed()
    }

    fn size(&self) -> usize {
        self.acts.iter().flat_map(|act| &act.steps).map(Step::times).sum()
    }

    fn smaller(&self) -> Vec<Self> {
        let acts = (0..self.acts.len()).map(|act| {
            let mut program = self.clone();
            program.acts.remove(act);
            program
        });
        let steps = self.acts.iter().enumerate().flat_map(|(act, steps)| {
            (0..steps.steps.len()).map(move |step| {
                let mut program = self.clone();
                program.acts[act].steps.remove(step);
                program
            })
        });
        let servers = (0..self.servers.len()).filter_map(|server| self.without_server(server));
        servers.chain(acts).chain(steps).filter(Self::is_whole).chain(self.less_foreign()).collect()
    }

    fn cast(self, actors: Actors, seed: u64) -> Self {
        self.cast_by(actors, seed)
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> BoxFuture<'a, Result<Vec<Violation>, Failed>> {
        Box::pin(async move {
            let history = play::play(stage, self).await?;
            Ok(check::judge(self, &history, stage.budget()))
        })
    }
}
