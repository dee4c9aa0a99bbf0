//! Late operations are counted, and reported if they are many.

use std::time::Duration;

use super::super::history::History;
use super::super::record::{Ended, Kind, Phase};
use super::Lateness;

/// A hundred operations with 10 ms each, of which some took as long as this instead.
fn lateness(took: &[u64]) -> Lateness {
    let allowed = Duration::from_millis(10);
    let ended = |took| Ended {
        number: 0,
        kind: Kind::Call,
        phase: Phase::During,
        place: None,
        begun: Duration::ZERO,
        done: Duration::from_millis(took),
        allowed,
        failure: None,
    };
    let all = took.iter().copied().chain(std::iter::repeat_n(1, 100 - took.len()));
    let mut lateness = Lateness::default();
    let mut history = History::default();
    history.ended = all.map(ended).collect();
    lateness.add(&history);
    lateness
}

#[test]
fn half_of_those_that_reach_their_deadline_may_be_late_and_more_may_not() {
    let late = |times: usize| [vec![11; 20 - times], vec![111; times]].concat();
    assert_eq!(lateness(&late(10)[..19]).objection(), None, "too few to say");
    assert_eq!(lateness(&late(9)).objection(), None);
    let objection = lateness(&late(10)).objection().expect("half are late");
    assert_eq!(objection, "G7: half of 20 ended 101ms past their deadlines or later");
}

#[test]
fn the_report_says_how_late_the_operations_were_that_reached_their_deadlines() {
    let report = "3 of 100 were ended by their deadlines, 5.0ms (median), 30.0ms (99 %), 30.0ms (all) past them";
    assert_eq!(lateness(&[15, 12, 40]).to_string(), report);
    assert!(lateness(&[]).to_string().starts_with("0 of 100 "));
}
