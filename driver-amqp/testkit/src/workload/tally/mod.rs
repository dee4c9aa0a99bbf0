//! How much was done, and how much of it worked. Pure.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use super::count::{COLUMNS, Count};
use super::history::History;
use super::record::{Kind, Phase};
use super::script::IN_A_ROW;

/// How often each kind was attempted in each phase, and succeeded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<(Phase, Kind), Count>);

/// The least that must have been done, so that a run in which nothing works does not pass.
#[derive(Debug, Clone, Copy)]
pub struct Minimum {
    pub phase: Phase,
    pub kind: Kind,
    /// How often in each run.
    pub attempts: usize,
    /// How many of a hundred must succeed.
    pub percent: usize,
}

/// One connection is cut in each run, and whatever was under way on it then may fail: less than half of what is done. All of
/// that is inside the window of the fault; outside of it, once it is back, nothing may fail, where 99 of 100 must succeed.
pub const MINIMUMS: &[Minimum] = &[
    Minimum { phase: Phase::During, kind: Kind::Call, attempts: 6, percent: 60 },
    Minimum { phase: Phase::During, kind: Kind::Cast, attempts: 8, percent: 60 },
    Minimum { phase: Phase::During, kind: Kind::Fanout, attempts: 2, percent: 60 },
    Minimum { phase: Phase::During, kind: Kind::Notification, attempts: 5, percent: 90 },
    Minimum { phase: Phase::During, kind: Kind::Undeliverable, attempts: 1, percent: 60 },
    Minimum { phase: Phase::Afterwards, kind: Kind::Call, attempts: IN_A_ROW, percent: 100 },
    Minimum { phase: Phase::Afterwards, kind: Kind::Notification, attempts: IN_A_ROW, percent: 100 },
];

impl Tally {
    pub fn add(&mut self, history: &History) {
        for ended in &history.ended {
            self.0.entry((ended.phase, ended.kind)).or_default().add(ended.wrong_result());
        }
    }

    pub fn of(&self, phase: Phase, kind: Kind) -> Count {
        self.0.get(&(phase, kind)).cloned().unwrap_or_default()
    }

    /// What is missing after `runs` runs.
    pub fn shortfalls(&self, runs: usize, minimums: &[Minimum]) -> Vec<String> {
        let short = minimums.iter().filter_map(|minimum| {
            let Minimum { phase, kind, attempts, percent } = *minimum;
            let count = self.of(phase, kind);
            let (needed, enough) = (attempts * runs, count.attempted >= attempts * runs && count.reaches(percent));
            let short = format!("{kind} {phase}: {COLUMNS}: {count}; at least {needed} and {percent} % are needed");
            (!enough).then_some(short)
        });
        short.collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:<30} {COLUMNS}", "")?;
        for ((phase, kind), count) in &self.0 {
            writeln!(f, "  {:<30} {count}", format!("{kind} {phase}"))?;
        }
        Ok(())
    }
}
