//! How many operations there were, how many succeeded, and how the others failed. Pure.

pub(crate) mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use testkit::workload::count::Count;
use testkit::workload::history::History;
use testkit::workload::record::Kind;

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
            counts.entry(ended.kind).or_default().add(ended.wrong_result());
            if let Some(fault) = fault {
                let place = history.faults.partition_point(|other| other.begun < fault.begun);
                tally.faults[place].add(ended.wrong_result());
            }
        }
        tally
    }

    /// Calls of every kind that were not under way during a fault.
    pub(crate) fn calls_outside(&self) -> Count {
        let mut calls = Count::default();
        for kind in [Kind::Call, Kind::Hasty, Kind::Once] {
            if let Some(count) = self.outside.get(&kind) {
                merge(&mut calls, count);
            }
        }
        calls
    }
}

/// Adds what `more` counted.
fn merge(count: &mut Count, more: &Count) {
    count.attempted += more.attempted;
    count.succeeded += more.succeeded;
    for (kind, times) in &more.failed {
        *count.failed.entry(kind.clone()).or_default() += times;
    }
}
