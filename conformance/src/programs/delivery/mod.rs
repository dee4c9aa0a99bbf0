//! Programs of delivery: bytes to every kind of address, read by readers that settle, give back, stop, close and vanish, and
//! that lose their connections.

mod code;
mod determined;
mod event;
mod ledger;
mod play;
mod program;
mod publish;
mod routing;
mod rules;
mod strategy;
mod whole;

use libtest_mimic::Failed;
use proptest::strategy::{BoxedStrategy, Strategy};

use super::explore::hold;
use super::{Generated, Perils, Rule, Violation};
use crate::case::BoxFuture;
use crate::{Harness, Stage};

pub use program::{Program, Reader, Verdict};
pub use publish::Publish;

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
    const NAME: &'static str = "delivery";

    fn rules() -> &'static [&'static Rule] {
        rules::ALL
    }

    fn leftover() -> &'static Rule {
        &rules::NOTHING_LEFT
    }

    fn strategy(perils: Perils) -> BoxedStrategy<Self> {
        strategy::programs(perils.cuts).boxed()
    }

    fn size(&self) -> usize {
        self.steps.len()
    }

    fn smaller(&self) -> Vec<Self> {
        let without_reader = (0..self.readers.len()).filter_map(|reader| self.without_reader(reader));
        let without_step = (0..self.steps.len()).map(|step| {
            let mut program = self.clone();
            program.steps.remove(step);
            program
        });
        without_reader.chain(without_step.filter(Self::is_whole)).collect()
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> BoxFuture<'a, Result<Vec<Violation>, Failed>> {
        Box::pin(play::play(stage, self))
    }
}
