//! The order of requests, and their redelivered flags.

use crate::Budget;
use crate::programs::Violation;
use crate::programs::rpc::divergence;
use crate::programs::rpc::history::Outcome;
use crate::programs::rpc::request::{Kind, Request};
use crate::programs::rpc::rules;
use crate::programs::rpc::timeline::{Sent, Timeline};

/// Checks every pair of requests of one sender and address, and every redelivered flag.
/// Requests that overlap are not compared. Neither is an earlier one that was given up or lost its connection.
pub(super) fn check(timeline: &Timeline<'_>, _: Budget, violations: &mut Vec<Violation>) {
    for later in &timeline.sent {
        for earlier in timeline.sent.iter().filter(|earlier| earlier.ended < later.begun) {
            let ended = !matches!(earlier.outcome, Some(Outcome::GivenUp | Outcome::Disconnected { .. }));
            if ended && earlier.sender == later.sender && address(earlier.request) == address(later.request) {
                pair(timeline, earlier, later, violations);
            }
        }
        marks(timeline, later, violations);
    }
}

/// `earlier` ended before `later` began, so a server that runs both must start it first.
/// A redelivered run gives no evidence either, since a requeue may change the order.
fn pair(timeline: &Timeline<'_>, earlier: &Sent<'_>, later: &Sent<'_>, violations: &mut Vec<Violation>) {
    // Servers that start requests in any order give no evidence.
    let in_order = |server: usize| !divergence::STARTS_IN_ANY_ORDER.holds_for(&timeline.servers[server]);
    for first in timeline.runs_of(earlier.number).filter(|ran| !ran.run.redelivered && in_order(ran.run.server)) {
        let mut after = timeline.runs_of(later.number).filter(|ran| ran.run.server == first.run.server);
        if let Some(second) = after.find(|second| second.at < first.at) {
            let server = second.run.server;
            let how = format_args!("at server {server} {} ran after {}", earlier.name(), later.name());
            violations.push(Violation::new(&rules::ORDER, how));
        }
    }
}

/// A message is redelivered only after a reader of its queue stopped, or after a cut.
/// Catches a server that reports a first delivery as a repeated one.
fn marks(timeline: &Timeline<'_>, sent: &Sent<'_>, violations: &mut Vec<Violation>) {
    for ran in timeline.runs_of(sent.number).filter(|ran| ran.run.redelivered) {
        let stopped = |server: usize| timeline.lives[server].iter().any(|life| life.stopping < ran.at);
        if !timeline.readers(sent.request).any(stopped) && !timeline.cut_between(sent.begun, ran.at) {
            let how = format_args!("{} came redelivered to server {}", sent.name(), ran.run.server);
            violations.push(Violation::new(&rules::MARK, how));
        }
    }
}

/// The address of a request. Order holds only between requests of one address.
/// A fanout is addressed by its topic alone, because it reaches every exchange.
fn address(request: &Request) -> (bool, Option<&str>, &str, Option<&str>) {
    if request.kind == Kind::Fanout {
        return (true, None, &request.topic, None);
    }
    (false, request.exchange.as_deref(), &request.topic, request.server.as_deref())
}
