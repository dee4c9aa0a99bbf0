//! Where requests run, and how often.

use crate::Budget;
use crate::programs::Violation;
use crate::programs::rpc::history::Outcome;
use crate::programs::rpc::model::Dispatch;
use crate::programs::rpc::request::Kind;
use crate::programs::rpc::rules;
use crate::programs::rpc::timeline::{NEVER, Ran, Sent, Timeline};

/// Checks for each request how often it ran, and at which servers.
/// The budget has no influence: these rules do not depend on durations.
pub(super) fn check(timeline: &Timeline<'_>, _: Budget, violations: &mut Vec<Violation>) {
    for sent in &timeline.sent {
        at_most_once(timeline, sent, violations);
        once_in_a_life(timeline, sent, violations);
        entitled(timeline, sent, violations);
        match sent.request.kind {
            Kind::Cast => cast(timeline, sent, violations),
            Kind::Fanout => fanout(timeline, sent, violations),
            Kind::Call => {}
        }
    }
}

/// A confirmed cast to a bound queue runs, unless a server may have lost it.
/// `Outcome::Done` means that the bus confirmed the cast. Without that, it may be lost.
/// A cast whose only run was ended by a kill must run a second time.
fn cast(timeline: &Timeline<'_>, sent: &Sent<'_>, violations: &mut Vec<Violation>) {
    let kept = sent.outcome == Some(&Outcome::Done) && timeline.surely_bound(sent);
    let kept = kept && !timeline.perhaps_lost(sent);
    if kept && timeline.all_run(sent.request) && timeline.runs_of(sent.number).next().is_none() {
        violations.push(Violation::new(&rules::CAST_RUNS, format_args!("{} never ran", sent.name())));
    }
    if kept && timeline.all_run(sent.request) && timeline.cut_short(sent) {
        let name = sent.name();
        let how = format_args!("{name} was cut short and did not run again");
        violations.push(Violation::new(&rules::RUNS_AGAIN, how));
    }
}

/// A fanout runs exactly at the servers that were up; those that started or stopped meanwhile may run it.
/// A server that was up from the send until the next settled point must run it.
fn fanout(timeline: &Timeline<'_>, sent: &Sent<'_>, violations: &mut Vec<Violation>) {
    let settled = timeline.settled.iter().copied().find(|at| *at > sent.ended).unwrap_or(NEVER);
    for server in timeline.readers(sent.request) {
        let ran = timeline.runs_of(sent.number).any(|ran| ran.run.server == server);
        let runs = timeline.dispatch(server, sent.request) == Dispatch::Runs;
        let sure = sent.outcome == Some(&Outcome::Done) && timeline.surely_up(server, sent.begun, settled);
        if sure && runs && !ran {
            let how = format_args!("{} did not run at server {server}", sent.name());
            violations.push(Violation::new(&rules::FANOUT_REACHES, how));
        }
        if ran && !timeline.perhaps_up(server, sent.begun, sent.ended) {
            let how = format_args!("{} ran at server {server}, which was not there", sent.name());
            violations.push(Violation::new(&rules::FANOUT_STAYS, how));
        }
    }
}

/// Executions that a redelivery explains do not count.
/// For a call or a cast all servers count together; for a fanout each server counts on its own.
/// A run is excused only if it is marked as redelivered and a kill or a cut could have caused that.
fn at_most_once(timeline: &Timeline<'_>, sent: &Sent<'_>, violations: &mut Vec<Violation>) {
    let again = |ran: &&Ran<'_>| {
        let perhaps = timeline.perhaps_again(sent.request, sent.begun, ran.at);
        ran.run.redelivered && (perhaps || timeline.cut_between(sent.begun, ran.at))
    };
    let mut servers: Vec<_> =
        timeline.runs_of(sent.number).filter(|ran| !again(ran)).map(|ran| ran.run.server).collect();
    let all = servers.clone();
    if sent.request.kind == Kind::Fanout {
        servers.sort_unstable();
        servers.dedup();
    } else {
        servers.truncate(1);
    }
    if servers.len() < all.len() {
        let how = format_args!("{} ran at servers {all:?}", sent.name());
        violations.push(Violation::new(&rules::RUNS_ONCE, how));
    }
}

/// A server runs a request once, however often it is delivered.
/// Catches a server whose check for duplicates fails. A redelivery is no excuse here.
fn once_in_a_life(timeline: &Timeline<'_>, sent: &Sent<'_>, violations: &mut Vec<Violation>) {
    for (server, lives) in timeline.lives.iter().enumerate() {
        for life in lives {
            let within = |ran: &&Ran<'_>| ran.run.server == server && (life.starting..life.stopped).contains(&ran.at);
            let runs = timeline.runs_of(sent.number).filter(within).count();
            if runs > 1 {
                let how = format_args!("{} ran {runs} times at server {server}", sent.name());
                violations.push(Violation::new(&rules::ONCE_IN_A_LIFE, how));
            }
        }
    }
}

/// Checks the server and the method of each execution.
/// Both the queue and the dispatch are checked: a server may read the queue and still have to refuse the method.
fn entitled(timeline: &Timeline<'_>, sent: &Sent<'_>, violations: &mut Vec<Violation>) {
    for ran in timeline.runs_of(sent.number) {
        let server = ran.run.server;
        let reads = timeline.readers(sent.request).any(|reader| reader == server);
        let up = timeline.perhaps_up(server, sent.begun, ran.at);
        if !reads || !up || !timeline.perhaps_bound(sent) {
            let how = format_args!("{} ran at server {server}", sent.name());
            violations.push(Violation::new(&rules::ENTITLED, how));
        }
        let right = ran.run.method == sent.request.method.name();
        if !right || timeline.dispatch(server, sent.request) != Dispatch::Runs {
            let how = format_args!("{} ran as '{}' at server {server}", sent.name(), ran.run.method);
            violations.push(Violation::new(&rules::DISPATCHED, how));
        }
    }
}
