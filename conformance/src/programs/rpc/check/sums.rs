//! The counter of dropped requests agrees with the requests that did not run.

use crate::Budget;
use crate::programs::Violation;
use crate::programs::rpc::history::Outcome;
use crate::programs::rpc::request::Kind;
use crate::programs::rpc::timeline::{Sent, Timeline};
use crate::programs::rpc::{divergence, rules};

/// Skipped if the program did not reach its end. The upper bound holds only without kills and cuts.
/// Compares the counter `oslo_messaging_requests_dropped_total` with the history.
/// Catches a server that discards requests in silence, and one that counts requests that ran.
pub(super) fn check(timeline: &Timeline<'_>, _: Budget, violations: &mut Vec<Violation>) {
    let Some(dropped) = timeline.dropped else { return };
    let least = timeline.sent.iter().filter(|sent| was_dropped(timeline, sent)).count() as u64;
    let most: usize = timeline.sent.iter().map(|sent| perhaps_dropped(timeline, sent)).sum();
    let killed = timeline.lives.iter().flatten().any(|life| life.killed);
    let is_calm = !killed && timeline.cuts.since(0) == 0;
    if dropped < least || (is_calm && dropped > most as u64) {
        let how = format_args!("{dropped} requests were counted, and {least} to {most} were dropped");
        violations.push(Violation::new(&rules::SUMS, how));
    }
}

/// Whether only a hurried stop can have kept a cast from running. The reference does not count what
/// it loses, so servers of its own are excluded.
fn was_dropped(timeline: &Timeline<'_>, sent: &Sent<'_>) -> bool {
    sent.request.kind == Kind::Cast
        && sent.outcome == Some(&Outcome::Done)
        && timeline.surely_bound(sent)
        && timeline.all_run(sent.request)
        && !timeline.readers(sent.request).any(|server| divergence::COUNTS_NOTHING.holds_for(&timeline.servers[server]))
        && timeline.runs_of(sent.number).next().is_none()
        && !timeline.perhaps_lost_in_silence(sent)
}

/// The most servers that may have dropped the request.
/// A fanout may be dropped at each of its readers; any other request at one of them, and only if it ran nowhere.
fn perhaps_dropped(timeline: &Timeline<'_>, sent: &Sent<'_>) -> usize {
    let ran = |server: usize| timeline.runs_of(sent.number).any(|ran| ran.run.server == server);
    let readers = timeline.readers(sent.request).filter(|server| !ran(*server)).count();
    match sent.request.kind {
        Kind::Fanout => readers,
        Kind::Call | Kind::Cast if timeline.runs_of(sent.number).next().is_none() => readers.min(1),
        Kind::Call | Kind::Cast => 0,
    }
}
