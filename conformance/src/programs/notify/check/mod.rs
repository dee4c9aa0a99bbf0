//! Checks a history of notifications against the rules.

mod chains;
mod dead;
mod heard;
mod ledger;
mod lifecycle;
mod limit;

use std::time::Duration;

use super::history::History;
use super::program::Program;
use super::timeline::Timeline;
use crate::programs::Violation;

/// The rules that `history` breaks, the gravest first. `window` is how long an event may wait for its batch; `None` on a real
/// clock, by which that cannot be measured. Pure.
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
