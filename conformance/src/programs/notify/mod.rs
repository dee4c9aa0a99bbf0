//! Programs of notifications: listeners, pools and taps start and stop while events are sent and handled, one by one or
//! in batches, requeued, retried and given up, while connections are lost, and where queues limit deliveries.

mod actor;
mod cast;
mod check;
mod determined;
mod divergence;
mod event;
mod handler;
mod history;
mod model;
mod play;
mod priority;
mod program;
mod rules;
mod strategy;
mod timeline;

use std::time::Duration;

use futures_util::future::BoxFuture;
use proptest::strategy::{BoxedStrategy, Strategy};

use super::{Actors, Divergence, Generated, Perils, Rule, Violation, acts};
use crate::{Budget, Clock, Failed, Stage};

pub(crate) use event::Event;
#[cfg(test)]
pub(crate) use program::Act;
pub(crate) use program::{Listener, Program};

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
        acts::size(&self.acts, |event| event.times)
    }

    fn smaller(&self) -> Vec<Self> {
        Self::smaller(self).into_iter().chain(self.less_foreign()).collect()
    }

    fn cast(self, actors: Actors, seed: u64) -> Self {
        self.cast_by(actors, seed)
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> BoxFuture<'a, Result<Vec<Violation>, Failed>> {
        Box::pin(async move {
            let history = play::play(stage, self).await?;
            let window = (stage.clock() == Clock::Paused).then(|| window(stage.budget()));
            Ok(check::judge(self, &history, window))
        })
    }
}

/// How long a batch waits for more events: a third of `Budget::quiet`.
fn window(budget: Budget) -> Duration {
    budget.quiet / 3
}
