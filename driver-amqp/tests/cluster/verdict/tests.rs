//! A scenario in which nothing works does not pass.

use std::time::Duration;

use tokio::time::Instant;

use super::{AFTERWARDS, MEANWHILE, Verdict};
use testkit::workload::history::History;
use testkit::workload::record::{Ended, Execution, Failure, Kind, Phase, Record, Start};

/// What a workload did in ten seconds, one blow from the fourth to the sixth: enough of everything, unless `fails` says
/// otherwise of what was begun so many seconds in.
fn verdict(fails: impl Fn(Phase, Kind, u64) -> bool) -> Verdict {
    let (start, took) = (Instant::now(), Duration::from_millis(10));
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut verdict = Verdict { lasted: Duration::from_secs(10), ..Verdict::default() };
    verdict.windows.push((at(4), at(6)));
    let mut history = History::default();
    for minimum in MEANWHILE.iter().chain(AFTERWARDS) {
        for place in 0..minimum.attempts {
            let (kind, phase, number) = (minimum.kind, minimum.phase, history.ended.len().try_into().expect("few"));
            let second = if phase == Phase::During { (place % 10) as u64 } else { 10 };
            let failed =
                |kind: &str| Some(Failure { kind: kind.to_owned(), executed: Execution::Maybe, text: String::new() });
            let failure = match kind {
                _ if fails(phase, kind, second) => failed("Timeout"),
                Kind::Undeliverable => failed("Undeliverable"),
                _ => None,
            };
            if failure.is_none() {
                let start = |server| Start { number, server, redelivered: false, at: Duration::from_secs(second) };
                match kind {
                    Kind::Notification => history.add(Record::EventStarted(start(0))),
                    Kind::Fanout => {
                        history.add(Record::MethodStarted(start(0)));
                        history.add(Record::MethodStarted(start(1)));
                    }
                    _ => history.add(Record::MethodStarted(start(0))),
                }
            }
            history.ended.push(Ended {
                number,
                kind,
                phase,
                place: None,
                begun: Duration::from_secs(second),
                done: Duration::from_secs(second) + took,
                allowed: took,
                failure,
            });
        }
    }
    verdict.add(start, &history);
    verdict
}

pub(crate) fn enough_is_enough() {
    assert_eq!(verdict(|_, _, _| false).objections(), Vec::<String>::new());
}

pub(crate) fn what_fails_within_a_window_may() {
    let within = |_, kind, second| kind == Kind::Call && second == 5;
    assert_eq!(verdict(within).objections(), Vec::<String>::new());
    let beside = verdict(|_, kind, second| kind == Kind::Call && second == 7).objections();
    assert!(beside.len() == 1 && beside[0].starts_with("too few calls succeeded outside faults"), "{beside:?}");
}

pub(crate) fn a_library_whose_every_call_times_out_does_not_pass() {
    let verdict = verdict(|_, kind, _| kind == Kind::Call);
    let (objections, report) = (verdict.objections().join("\n"), verdict.to_string());
    for text in ["call during", "call afterwards", "too few calls succeeded outside faults"] {
        assert!(objections.contains(text), "{text}: {objections}");
    }
    assert!(report.contains("60         0     60  60 Timeout"), "{report}");
}

pub(crate) fn a_library_that_ends_everything_with_a_timeout_falls_short_of_every_minimum() {
    let objections = verdict(|_, _, _| true).objections();
    for minimum in MEANWHILE.iter().chain(AFTERWARDS) {
        let text = format!("{} {}: ", minimum.kind, minimum.phase);
        assert!(objections.iter().any(|objection| objection.starts_with(&text)), "{text}{objections:?}");
    }
}

pub(crate) fn a_library_that_hardly_calls_outside_faults_does_not_pass() {
    let mut verdict = verdict(|_, _, _| false);
    verdict.outside_meanwhile = 1;
    let objections = verdict.objections();
    assert!(objections.len() == 1 && objections[0].starts_with("only 1 calls were made"), "{objections:?}");
}
