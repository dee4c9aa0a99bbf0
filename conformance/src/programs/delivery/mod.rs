//! Programs of delivery: bytes to every kind of address, and readers that settle, requeue, stop,
//! close, are dropped and lose their connections.

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

use futures_util::future::BoxFuture;
use proptest::strategy::{BoxedStrategy, Strategy};

use super::{Generated, Perils, Rule, Violation};
use crate::{Failed, Stage};

#[cfg(test)]
pub(crate) use program::Settlement;
pub(crate) use program::{Program, Reader};
pub(crate) use publish::Publish;

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

    /// A reader is removed only if no step names it.
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
