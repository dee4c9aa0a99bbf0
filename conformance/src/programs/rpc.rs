//! Programs of RPC: servers of a generated topology start and stop while calls, casts and fanouts are in flight.

mod actor;
mod check;
mod code;
mod history;
mod model;
mod play;
mod program;
mod request;
mod rules;
mod rust_actor;
mod strategy;
mod timeline;

use proptest::strategy::{BoxedStrategy, Strategy};

use super::{Generated, Rule, Violation};
use crate::Stage;
use crate::case::BoxFuture;

use libtest_mimic::Failed;
pub(crate) use program::Step;
pub use program::{Act, Program, Server};
pub use request::{Method, Request};

impl Generated for Program {
    const NAME: &'static str = "rpc";

    fn rules() -> &'static [&'static Rule] {
        rules::ALL
    }

    fn leftover() -> &'static Rule {
        &rules::NOTHING_LEFT
    }

    fn strategy() -> BoxedStrategy<Self> {
        strategy::programs().boxed()
    }

    fn size(&self) -> usize {
        self.acts.iter().map(|act| act.steps.len()).sum()
    }

    fn play<'a>(&'a self, stage: &'a Stage) -> BoxFuture<'a, Result<Vec<Violation>, Failed>> {
        Box::pin(async move {
            let history = play::play(stage, &rust_actor::RustTroupe, self).await?;
            Ok(check::check(self, &history, stage.budget()))
        })
    }
}
