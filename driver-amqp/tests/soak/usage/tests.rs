//! What grows is seen, and what is held only during a fault is not.

use std::time::Duration;

use super::{Usage, compared, growth, usage};
use testkit::workload::history::History;
use testkit::workload::record::{Ended, Fault, FaultKind, Kind, Phase, Record, Sample, Start};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Ten minutes, with a fault in the second half of minute 3 while which much is held. Every reader has had as much as it
/// remembers after so many seconds.
fn history(filled: u64, memory_in_the_end: u64) -> History {
    let mut history = History::default();
    for second in 0..600 {
        let memory = if second < 540 { 10_000 } else { memory_in_the_end };
        let faulty = (210..240).contains(&second);
        let (memory, threads) = if faulty { (90_000, 90) } else { (memory, 9) };
        history.add(Record::Sample(Sample { at: secs(second), memory, threads, descriptors: 20 }));
    }
    let (begun, closed) = (secs(210), secs(239));
    history.add(Record::Fault(Fault { kind: FaultKind::Freeze, begun, over: begun, closed, recovered: true }));
    for number in 0..20_000 {
        let (at, server) = (secs(filled), u8::from(number % 2 == 1));
        let start = |number| Start { number, server, redelivered: false, at };
        history.add(Record::MethodStarted(start(2 * number)));
        history.add(Record::MethodStarted(start(2 * number + 1)));
        history.add(Record::EventStarted(start(100_000 + number)));
        let ended = Ended {
            number: 2 * number,
            kind: Kind::Once,
            phase: Phase::During,
            place: None,
            begun: at,
            done: at,
            allowed: at,
            failure: None,
        };
        history.add(Record::Ended(ended));
    }
    history
}

pub(crate) fn a_minute_is_judged_by_what_was_held_without_a_fault() {
    let held = Usage { memory: 10_000, threads: 9, descriptors: 20 };
    assert_eq!(usage(&history(100, 10_000), secs(180)), Some(held));
    assert_eq!(usage(&history(100, 10_000), secs(700)), None);
}

pub(crate) fn what_grew_by_more_than_a_twentieth_is_reported() {
    let growth = |memory| growth(compared(&history(100, memory)).expect("ten minutes"));
    assert_eq!((growth(10_500), growth(8_000)), (vec![], vec![]));
    assert_eq!(growth(10_501), ["G8: resident memory in KiB grew from 10000 up to 180s to 10501"]);
}

pub(crate) fn memory_that_a_lost_connection_gave_back_may_come_again() {
    let growth = |memory, baseline: std::ops::Range<u64>| {
        let mut history = history(100, memory);
        for sample in &mut history.samples {
            if baseline.contains(&sample.at.as_secs()) {
                sample.memory = 6_000;
            }
        }
        growth(compared(&history).expect("ten minutes"))
    };
    assert_eq!(growth(10_500, 120..540), Vec::<String>::new());
    assert_eq!(growth(10_501, 120..540), ["G8: resident memory in KiB grew from 10000 up to 180s to 10501"]);
    assert_eq!(growth(10_500, 0..540), ["G8: resident memory in KiB grew from 6000 up to 180s to 10500"]);
}

pub(crate) fn nothing_is_compared_before_every_consumer_had_what_it_remembers() {
    let baseline = |filled| Some(compared(&history(filled, 10_000))?.0);
    assert_eq!((baseline(100), baseline(300), baseline(400)), (Some(secs(180)), Some(secs(300)), None));
    let mut unheard = history(100, 10_000);
    unheard.events.truncate(9_999);
    assert_eq!((compared(&unheard), compared(&History::default())), (None, None));
}
