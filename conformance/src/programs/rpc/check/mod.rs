//! Checks a history of RPC against the rules, one file for each group. All read
//! the same timeline, and none depends on another.

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
use crate::programs::divergence::with_excused;

/// The rules that `history` breaks. Violations that a divergence of foreign actors excuses are marked. Pure.
/// Checks twice: with the program as it was played, and as if every actor were of this library.
/// What only the second check finds is excused if a divergence names the rule.
pub(crate) fn judge(program: &Program, history: &History, budget: Budget) -> Vec<Violation> {
    let (lenient, strict) = (check(program, history, budget), check(&program.ours(), history, budget));
    with_excused(lenient, strict, divergence::ALL)
}

/// The rules that `history` breaks, the gravest first. Pure.
/// Each file of rules sees the same timeline and adds its violations; no file depends on another.
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
