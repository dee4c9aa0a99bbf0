//! How much was done, and how much of it worked. Pure.

pub(crate) mod tests;

use std::collections::BTreeMap;
use std::fmt;

use super::client::IN_A_ROW;
use super::history::{Ended, History, Kind, Phase};

/// How often each kind was attempted in each phase, and succeeded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally(BTreeMap<(Phase, Kind), Count>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) attempted: usize,
    pub(crate) succeeded: usize,
}

/// The least that must have been done, so that a run in which nothing works does not pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Minimum {
    pub(crate) phase: Phase,
    pub(crate) kind: Kind,
    /// How often in each run.
    pub(crate) attempts: usize,
    /// How many of a hundred must succeed.
    pub(crate) percent: usize,
}

/// One connection is cut in each run, and whatever was under way on it then may fail: less than half of what is done. Once
/// it is back, nothing may.
pub(crate) const MINIMUMS: &[Minimum] = &[
    Minimum { phase: Phase::During, kind: Kind::Call, attempts: 6, percent: 60 },
    Minimum { phase: Phase::During, kind: Kind::Cast, attempts: 8, percent: 60 },
    Minimum { phase: Phase::During, kind: Kind::Fanout, attempts: 2, percent: 60 },
    Minimum { phase: Phase::During, kind: Kind::Notification, attempts: 5, percent: 90 },
    Minimum { phase: Phase::During, kind: Kind::Undeliverable, attempts: 1, percent: 60 },
    Minimum { phase: Phase::Afterwards, kind: Kind::Call, attempts: IN_A_ROW, percent: 100 },
    Minimum { phase: Phase::Afterwards, kind: Kind::Notification, attempts: IN_A_ROW, percent: 100 },
];

impl Tally {
    pub(crate) fn add(&mut self, history: &History) {
        for ended in &history.ended {
            let count = self.0.entry((ended.phase, ended.kind)).or_default();
            count.attempted += 1;
            count.succeeded += usize::from(succeeded(ended));
        }
    }

    pub(crate) fn of(&self, phase: Phase, kind: Kind) -> Count {
        self.0.get(&(phase, kind)).copied().unwrap_or_default()
    }

    /// What is missing after `runs` runs.
    pub(crate) fn shortfalls(&self, runs: usize, minimums: &[Minimum]) -> Vec<String> {
        let short = minimums.iter().filter_map(|minimum| {
            let Minimum { phase, kind, attempts, percent } = *minimum;
            let count = self.of(phase, kind);
            let enough = count.attempted >= attempts * runs && count.succeeded * 100 >= count.attempted * percent;
            (!enough)
                .then(|| format!("{kind} {phase}: {count}; at least {} and {percent} % are needed", attempts * runs))
        });
        short.collect()
    }
}

/// Whether it went well; who sent to nobody is well served by being told.
pub(crate) fn succeeded(ended: &Ended) -> bool {
    match &ended.told {
        Ok(()) => ended.kind != Kind::Undeliverable,
        Err(told) => ended.kind == Kind::Undeliverable && told.kind == oslo_messaging::ErrorKind::Undeliverable,
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempted, succeeded } = *self;
        write!(f, "{attempted} attempted, {succeeded} succeeded, {} failed", attempted - succeeded)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((phase, kind), count) in &self.0 {
            writeln!(f, "  {kind} {phase}: {count}")?;
        }
        Ok(())
    }
}
