//! A run in which nothing works is counted as one.

use std::time::Duration;

use super::super::count::Count;
use super::super::history::History;
use super::super::record::{Ended, Execution, Failure, Kind, Phase};
use super::super::script::IN_A_ROW;
use super::{MINIMUMS, Tally};

fn all(attempted: usize) -> Count {
    Count { attempted, succeeded: attempted, ..Count::default() }
}

fn failure(kind: &str) -> Failure {
    Failure { kind: kind.to_owned(), executed: Execution::Maybe, text: String::new() }
}

/// `runs` runs with just what is needed, in which `fails` says what fails.
fn tally(runs: usize, fails: impl Fn(Phase, Kind) -> bool) -> Tally {
    let mut tally = Tally::default();
    let mut history = History::default();
    for minimum in MINIMUMS {
        let (phase, kind, zero) = (minimum.phase, minimum.kind, Duration::ZERO);
        let failure = match (fails(phase, kind), kind) {
            (true, _) => Some(failure("Timeout")),
            (false, Kind::Undeliverable) => Some(failure("Undeliverable")),
            (false, _) => None,
        };
        let ended = Ended { number: 0, kind, phase, place: None, begun: zero, done: zero, allowed: zero, failure };
        history.ended.extend(vec![ended; minimum.attempts]);
    }
    (0..runs).for_each(|_| tally.add(&history));
    tally
}

#[test]
fn enough_is_enough() {
    let tally = tally(3, |_, _| false);
    assert_eq!(tally.shortfalls(3, MINIMUMS), Vec::<String>::new());
    assert_eq!(tally.of(Phase::Afterwards, Kind::Call), all(3 * IN_A_ROW));
    assert_eq!(tally.shortfalls(4, MINIMUMS).len(), MINIMUMS.len(), "of everything a run is missing");
}

#[test]
fn whatever_always_fails_is_a_shortfall_of_its_own() {
    for minimum in MINIMUMS {
        let fails = |phase, kind| (phase, kind) == (minimum.phase, minimum.kind);
        let short = tally(2, fails).shortfalls(2, MINIMUMS);
        let attempts = 2 * minimum.attempts;
        assert!(short.len() == 1 && short[0].contains(&format!(" {attempts} Timeout;")), "{short:?}");
    }
}

#[test]
fn a_library_that_ends_everything_with_a_timeout_falls_short_of_every_minimum() {
    let tally = tally(2, |_, _| true);
    assert_eq!(tally.shortfalls(2, MINIMUMS).len(), MINIMUMS.len());
    let failed = [("Timeout".to_owned(), 2 * IN_A_ROW)].into();
    let count = Count { attempted: 2 * IN_A_ROW, succeeded: 0, failed };
    assert_eq!(tally.of(Phase::Afterwards, Kind::Call), count);
    assert!(tally.to_string().contains(&format!("{count}\n")), "{tally}");
}

#[test]
fn nothing_at_all_is_not_enough() {
    assert_eq!(Tally::default().shortfalls(1, MINIMUMS).len(), MINIMUMS.len());
}
