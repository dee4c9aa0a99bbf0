//! The rules under test: which of them must catch which flaw of a driver.

use super::{Generated, Options, Rule, explore, rpc};
use crate::{Flaw, Flawed, Harness};

/// The rule that must catch `flaw` in a run of programs; `None` for what programs do not look at.
#[must_use]
pub fn caught_by(flaw: Flaw) -> Option<&'static str> {
    Some(match flaw {
        Flaw::PublishedTwice => "rpc::nothing_runs_twice",
        Flaw::LostInSilence => "rpc::cast_runs_exactly_once",
        Flaw::OutOfOrder => "rpc::order_holds_from_one_sender",
        Flaw::ServerIgnored | Flaw::ExchangeIgnored => "rpc::a_request_runs_at_an_entitled_server",
        Flaw::FanoutLost => "rpc::fanout_reaches_every_subscribed_server",
        Flaw::MandatoryIgnored => "rpc::an_undeliverable_call_says_so",
        Flaw::MandatoryAlways => "rpc::a_cast_is_sent",
        Flaw::ReturnCrossed => "rpc::only_what_has_no_queue_is_undeliverable",
        Flaw::StopNeverEnds => "lifecycle::a_server_ends_when_it_is_stopped",
        Flaw::RedeliveredAlways => "rpc::nothing_is_redelivered_without_a_loss",
        _ => return None,
    })
}

/// Runs programs on a driver with `flaw` until the rule that must catch it does; how many it took, or `None` if all of
/// them did not.
pub fn hunt<H: Harness>(make: impl Fn() -> H, flaw: Flaw, options: &Options) -> Option<u64> {
    let id = caught_by(flaw)?;
    let flawed = || Flawed::new(make(), flaw);
    hunt_kind::<rpc::Program, _>(&flawed, id, *options)
}

fn hunt_kind<P: Generated, H: Harness>(make: &dyn Fn() -> H, id: &str, options: Options) -> Option<u64> {
    let rule: &Rule = P::rules().iter().find(|rule| rule.id == id)?;
    let explored = explore::explore::<P, H>(make, options, explore::Search::Breaking(rule));
    explored.found.map(|_| explored.programs)
}
