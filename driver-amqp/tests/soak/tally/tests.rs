//! What is counted where.

use std::time::Duration;

use super::Tally;
use testkit::workload::count::Count;
use testkit::workload::history::History;
use testkit::workload::record::{Ended, Execution, Failure, Fault, FaultKind, Kind, Phase, Record};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// From `begun` to `done`, in seconds; with an error of the kind `error`, if it failed.
fn ended(kind: Kind, begun: u64, done: u64, error: Option<&str>) -> Record {
    let (begun, done, allowed) = (secs(begun), secs(done), secs(2));
    let failure = error.map(|kind| Failure { kind: kind.to_owned(), executed: Execution::Maybe, text: String::new() });
    Record::Ended(Ended { number: 0, kind, phase: Phase::During, place: None, begun, done, allowed, failure })
}

fn tally(records: impl IntoIterator<Item = Record>) -> Tally {
    let mut history = History::default();
    for (begun, closed) in [(10, 20), (30, 40)] {
        let (begun, closed) = (secs(begun), secs(closed));
        history.add(Record::Fault(Fault { kind: FaultKind::Freeze, begun, over: begun, closed, recovered: true }));
    }
    for record in records {
        history.add(record);
    }
    Tally::of(&history)
}

fn attempted(counts: impl IntoIterator<Item = Count>) -> Vec<usize> {
    counts.into_iter().map(|count| count.attempted).collect()
}

pub(crate) fn whatever_touches_a_fault_is_counted_with_it_and_the_rest_outside() {
    let spans = [(1, 9), (9, 10), (12, 13), (20, 21), (21, 29), (25, 45), (5, 31)];
    let tally = tally(spans.map(|(begun, done)| ended(Kind::Call, begun, done, None)));
    assert_eq!(attempted(tally.faults.clone()), [3, 2], "what touches both belongs to the later one");
    assert_eq!((tally.inside[&Kind::Call].attempted, tally.calls_outside().attempted), (5, 2));
    assert_eq!(tally.latest, secs(26 - 2), "past its deadline");
}

pub(crate) fn an_undeliverable_cast_succeeds_by_being_reported() {
    let undeliverable = |error| ended(Kind::Undeliverable, 1, 1, error);
    let tally = tally([undeliverable(Some("Undeliverable")), undeliverable(Some("Timeout")), undeliverable(None)]);
    let count = &tally.outside[&Kind::Undeliverable];
    assert_eq!((count.attempted, count.succeeded), (3, 1));
    assert_eq!(count.to_string(), "        3         1      2  1 Timeout, 1 not reported");
}
