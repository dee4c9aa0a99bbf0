//! Programs of RPC: servers of a generated topology start and stop while calls, casts and fanouts are in flight.

mod actor;
mod cast;
mod check;
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

use futures_util::future::BoxFuture;
use proptest::strategy::{BoxedStrategy, Strategy};

use super::{Actors, Divergence, Generated, Perils, Rule, Violation, acts};
use crate::{Failed, Stage};

pub(crate) use history::Outcome;
#[cfg(test)]
pub(crate) use program::Act;
pub(crate) use program::{Program, Server};
#[cfg(test)]
pub(crate) use request::Method;
pub(crate) use request::Request;

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

    /// A request counts as often as it is sent.
    fn size(&self) -> usize {
        acts::size(&self.acts, |request| request.times)
    }

    /// Tries servers first, then acts and steps, then foreign actors.
    fn smaller(&self) -> Vec<Self> {
        let servers = (0..self.servers.len()).map(|server| self.without_server(server)).filter(Self::is_whole);
        let acts = acts::smaller(&self.acts).into_iter().map(|acts| Self { acts, ..self.clone() });
        servers.chain(acts).chain(self.less_foreign()).collect()
    }

    /// Servers and senders may be foreign.
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
