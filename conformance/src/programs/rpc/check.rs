//! Holds a history against the rules.

mod calls;
mod casts;
mod lifecycle;
mod order;

use super::history::History;
use super::program::Program;
use super::timeline::Timeline;
use crate::Budget;
use crate::programs::Violation;

/// Every rule that `history` breaks, the gravest first. Pure.
pub(crate) fn check(program: &Program, history: &History, budget: Budget) -> Vec<Violation> {
    let timeline = Timeline::new(program, history);
    let mut violations = Vec::new();
    for rules in [casts::check, calls::check, order::check, lifecycle::check] {
        rules(&timeline, budget, &mut violations);
    }
    violations
}

#[cfg(test)]
mod tests;
