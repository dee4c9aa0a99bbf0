//! Checks a history of notifications against the rules, one file for each group. None depends on another.

mod chains;
mod dead;
mod heard;
mod ledger;
mod lifecycle;
mod limit;

use std::time::Duration;

use super::divergence;
use super::history::History;
use super::program::Program;
use super::timeline::Timeline;
use crate::programs::Violation;
use crate::programs::divergence::with_excused;

/// The rules that `history` breaks, the excused ones marked and at the end. Pure.
pub(crate) fn judge(program: &Program, history: &History, window: Option<Duration>) -> Vec<Violation> {
    let (lenient, strict) = (check(program, history, window), check(&program.ours(), history, window));
    with_excused(lenient, strict, divergence::ALL)
}

/// The rules that `history` breaks, the gravest first. `window` is how long an event may wait for its batch; `None` on
/// a real clock, by which that cannot be measured. Pure.
pub(crate) fn check(program: &Program, history: &History, window: Option<Duration>) -> Vec<Violation> {
    let timeline = Timeline::new(program, history);
    let mut violations = Vec::new();
    for rules in [chains::check, dead::check, limit::check, ledger::check, lifecycle::check] {
        rules(&timeline, &mut violations);
    }
    heard::check(&timeline, window, &mut violations);
    violations
}

#[cfg(test)]
mod tests;
