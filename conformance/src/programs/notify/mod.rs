//! Programs of notifications: listeners, pools of them and taps start and stop while events are told, handled one by one or
//! in batches, given back, tried again and given up, while connections are lost, and where queues limit deliveries.

mod actor;
mod cast;
mod check;
mod code;
mod determined;
mod divergence;
mod ear;
mod history;
mod model;
mod play;
mod program;
mod rules;
mod strategy;
mod tell;
mod timeline;
mod whole;

use libtest_mimic::Failed;
use proptest::strategy::{BoxedStrategy, Strategy};

use super::explore::hold;
use super::{Actors, Divergence, Generated, Perils, Rule, Violation};
use crate::case::BoxFuture;
use crate::{Clock, Harness, Stage};

use program::Step;
pub use program::{Act, Listener, Program};
pub use tell::Tell;

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
    const NAME: &'static str = "notify";

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
        self.with_less().into_iter().chain(self.less_foreign()).collect()
    }

    fn cast(self, actors: Actors, seed: u64) -> Self {
        self.cast_by(actors, seed)
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> BoxFuture<'a, Result<Vec<Violation>, Failed>> {
        Box::pin(async move {
            let history = play::play(stage, self).await?;
            let window = (stage.clock() == Clock::Paused).then(|| play::window(stage.budget()));
            Ok(check::judge(self, &history, window))
        })
    }
}
