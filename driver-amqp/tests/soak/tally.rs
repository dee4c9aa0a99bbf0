//! How much was done, how much of it succeeded, and what the rest was told. Pure.

pub(crate) mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::history::History;
use super::record::{Ended, Kind};

/// How often something was attempted, and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) attempted: usize,
    pub(crate) succeeded: usize,
    /// Of what failed, the kinds of errors.
    pub(crate) failed: BTreeMap<String, usize>,
}

/// What was under way during some part of a fault, and what was not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) inside: BTreeMap<Kind, Count>,
    pub(crate) outside: BTreeMap<Kind, Count>,
    /// Of each fault, by its place.
    pub(crate) faults: Vec<Count>,
    /// How far past its deadline anything ended, at most.
    pub(crate) latest: Duration,
}

impl Tally {
    pub(crate) fn of(history: &History) -> Self {
        let mut tally = Self { faults: vec![Count::default(); history.faults.len()], ..Self::default() };
        for ended in &history.ended {
            tally.latest = tally.latest.max(ended.took().saturating_sub(ended.allowed));
            let fault = history.fault_of(ended);
            let counts = if fault.is_some() { &mut tally.inside } else { &mut tally.outside };
            counts.entry(ended.kind).or_default().add(ended);
            if let Some(fault) = fault {
                let place = history.faults.partition_point(|other| other.begun < fault.begun);
                tally.faults[place].add(ended);
            }
        }
        tally
    }

    /// Calls of every kind that were not under way during a fault.
    pub(crate) fn calls_outside(&self) -> Count {
        let mut calls = Count::default();
        for kind in [Kind::Call, Kind::Hasty, Kind::Once] {
            if let Some(count) = self.outside.get(&kind) {
                calls.attempted += count.attempted;
                calls.succeeded += count.succeeded;
            }
        }
        calls
    }
}

impl Count {
    fn add(&mut self, ended: &Ended) {
        self.attempted += 1;
        if ended.succeeded() {
            self.succeeded += 1;
        } else {
            let kind = ended.told.as_ref().map_or("not told", |told| told.kind.as_str());
            *self.failed.entry(kind.to_owned()).or_default() += 1;
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempted, succeeded, failed } = self;
        write!(f, "{attempted:>8} {succeeded:>9} {:>6}", attempted - succeeded)?;
        let kinds: Vec<String> = failed.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        if kinds.is_empty() { Ok(()) } else { write!(f, "  {}", kinds.join(", ")) }
    }
}
