//! Holds a history against the rules.

mod calls;
mod casts;
mod lifecycle;
mod order;
mod sums;

use super::divergence;
use super::history::History;
use super::program::Program;
use super::timeline::Timeline;
use crate::Budget;
use crate::programs::Violation;

/// Every rule that `history` breaks, what is excused with the rest and marked. Pure.
pub(crate) fn judge(program: &Program, history: &History, budget: Budget) -> Vec<Violation> {
    let mut violations = check(program, history, budget);
    let strictly = check(&program.ours(), history, budget);
    let excused: Vec<_> = strictly.into_iter().filter(|violation| !violations.contains(violation)).collect();
    // What no divergence names is not excused, whatever was left out of the check.
    let mark = |violation: Violation| if divergence::excuses(violation.rule) { violation.excused() } else { violation };
    violations.extend(excused.into_iter().map(mark));
    violations
}

/// Every rule that `history` breaks, the gravest first. Pure.
pub(crate) fn check(program: &Program, history: &History, budget: Budget) -> Vec<Violation> {
    let timeline = Timeline::new(program, history);
    let mut violations = Vec::new();
    for rules in [casts::check, sums::check, calls::check, order::check, lifecycle::check] {
        rules(&timeline, budget, &mut violations);
    }
    violations
}

#[cfg(test)]
mod tests;
