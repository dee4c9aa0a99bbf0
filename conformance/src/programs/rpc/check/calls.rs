//! The outcomes that senders get: answers, failures, timeouts and returns.

use crate::Budget;
use crate::programs::Violation;
use crate::programs::rpc::history::Outcome;
use crate::programs::rpc::model::Dispatch;
use crate::programs::rpc::program::FAILURE;
use crate::programs::rpc::request::{Kind, Method};
use crate::programs::rpc::rules;
use crate::programs::rpc::timeline::{Sent, Timeline};

/// The failure class of a call that its server dropped before running it.
/// The server answers with it when a hurried stop discards a request that it has accepted.
const NOT_RUN: &str = "RequestNotRun";

/// Checks the outcome of every request that has ended.
/// Requests without an outcome are skipped: the program ended before they did.
pub(super) fn check(timeline: &Timeline<'_>, budget: Budget, violations: &mut Vec<Violation>) {
    for sent in &timeline.sent {
        let Some(outcome) = sent.outcome else { continue };
        delivery(timeline, sent, outcome, violations);
        if sent.request.kind == Kind::Call {
            call(timeline, sent, outcome, violations);
            in_time(sent, budget, violations);
        }
    }
}

/// Checks `Undeliverable` and the failures of casts.
/// A return may be missing without a violation if the sender gave up first, or a connection was lost meanwhile, or
/// before: the request is repeated then.
/// Only requests that surely had no queue must be returned, and only those that surely had one must not be.
/// Concurrent starts leave both open.
fn delivery(timeline: &Timeline<'_>, sent: &Sent<'_>, outcome: &Outcome, violations: &mut Vec<Violation>) {
    let mandatory = sent.request.mandatory && sent.request.kind != Kind::Fanout;
    let undeliverable = *outcome == Outcome::Undeliverable;
    let mut broken = |rule| violations.push(Violation::new(rule, format_args!("{} ended {outcome:?}", sent.name())));
    // An impatient or abandoned request may end before the bus returns it.
    let lost = timeline.lost_its_connection(sent) || timeline.lost_with_its_connection(sent);
    let gave_up = (sent.request.impatient && *outcome == Outcome::TimedOut) || *outcome == Outcome::GivenUp;
    // For a while after a lost connection a return is transient, and the client publishes the request again. The last
    // publish may be on its way when the deadline passes.
    let repeated = *outcome == Outcome::TimedOut && timeline.cut_between(0, sent.ended);
    if mandatory && !undeliverable && !gave_up && !lost && !repeated && !timeline.perhaps_bound(sent) {
        broken(&rules::SAYS_UNDELIVERABLE);
    }
    let optional = sent.request.kind == Kind::Call && !mandatory;
    if undeliverable && (optional || timeline.surely_bound(sent)) {
        broken(&rules::ONLY_UNDELIVERABLE);
    }
    let unsent = undeliverable || *outcome == Outcome::Disconnected { perhaps_sent: false };
    if unsent && timeline.runs_of(sent.number).next().is_some() {
        broken(&rules::NEVER_RUNS);
    }
    let given_up = sent.request.given_up && *outcome == Outcome::GivenUp;
    let excused = given_up || lost || (mandatory && undeliverable) || timeline.met_no_exchange(sent);
    if sent.request.kind != Kind::Call && !excused && *outcome != Outcome::Done {
        broken(&rules::SUCCEEDS);
    }
}

/// Checks that an answer belongs to its call, and that a call that must be answered is.
/// An answer counts as the call's own only if the request ran at that server before the call ended.
/// A failure of the dispatch must be what one of the readers of the queue would give.
/// A timeout is a violation only if a reader was up throughout and nothing interrupted the request.
fn call(timeline: &Timeline<'_>, sent: &Sent<'_>, outcome: &Outcome, violations: &mut Vec<Violation>) {
    let mut broken = |rule| violations.push(Violation::new(rule, format_args!("{} ended {outcome:?}", sent.name())));
    let ran_at = |server: usize| {
        let mut before = timeline.runs_of(sent.number).filter(|ran| ran.at < sent.ended);
        before.any(|ran| ran.run.server == server)
    };
    match outcome {
        Outcome::Returned { server, number } => {
            let method = matches!(sent.request.method, Method::Answer | Method::Slow);
            if *number != sent.number || !method || !ran_at(*server) {
                broken(&rules::OWN_REPLY);
            }
        }
        Outcome::Raised { class, message } if class == FAILURE => {
            let own = *message == sent.number.to_string() && sent.request.method == Method::Fail;
            if !own || !timeline.readers(sent.request).any(ran_at) {
                broken(&rules::OWN_REPLY);
            }
        }
        Outcome::Raised { class, .. } if class == NOT_RUN => {
            if !timeline.perhaps_hurried(sent) || timeline.runs_of(sent.number).next().is_some() {
                broken(&rules::OWN_REPLY);
            }
        }
        Outcome::Raised { class, .. } => {
            let refused = timeline.readers(sent.request).map(|server| timeline.dispatch(server, sent.request));
            let said = match class.as_str() {
                "UnsupportedVersion" => Some(Dispatch::UnsupportedVersion),
                "NoSuchMethod" => Some(Dispatch::NoSuchMethod),
                _ => None,
            };
            if !refused.into_iter().any(|dispatch| Some(dispatch) == said) {
                broken(&rules::DISPATCHED);
            }
        }
        Outcome::TimedOut => {
            let up = |server: usize| timeline.surely_up(server, sent.begun, sent.ended);
            // A request dropped before it ran is answered; one that was interrupted is not.
            let cut_short = timeline.perhaps_hurried(sent) && timeline.runs_of(sent.number).next().is_some();
            let bound = timeline.surely_bound(sent) && !timeline.perhaps_lost_in_silence(sent) && !cut_short;
            // A request that runs again is answered again, but perhaps too late.
            let bound = bound && !timeline.perhaps_again(sent.request, sent.begun, sent.ended);
            let bound = bound && !timeline.lost_with_its_connection(sent);
            if bound && !sent.request.impatient && timeline.readers(sent.request).any(up) {
                broken(&rules::ANSWERED);
            }
        }
        // Checked by `delivery`.
        Outcome::Undeliverable => {}
        Outcome::GivenUp if sent.request.given_up => {}
        Outcome::Disconnected { .. } if timeline.lost_its_connection(sent) => {}
        Outcome::Done | Outcome::GivenUp | Outcome::Disconnected { .. } | Outcome::Broken { .. } => {
            broken(&rules::ANSWERED);
        }
    }
}

/// A call may take its timeout and `Budget::arrive` in addition. Catches calls that hang.
fn in_time(sent: &Sent<'_>, budget: Budget, violations: &mut Vec<Violation>) {
    let patience = if sent.request.impatient { budget.quiet } else { budget.arrive };
    // The machine may be busy with other tests: allow `arrive` in addition.
    if sent.took > patience + budget.arrive {
        let how = format_args!("{} took {:?} of {patience:?}", sent.name(), sent.took);
        violations.push(Violation::new(&rules::IN_TIME, how));
    }
}
