//! A run in which nothing works is no run that is well.

use std::time::Duration;

use super::super::plan::TRIAL;
use super::Report;
use testkit::workload::history::History;
use testkit::workload::record::{
    Begun, Ended, Execution, Failure, Fault, FaultKind, FaultTarget, Kind, Over, Paced, Phase, Queues, Record, Start,
};

const KINDS: [Kind; 7] =
    [Kind::Call, Kind::Once, Kind::Cast, Kind::Fanout, Kind::Notification, Kind::Undeliverable, Kind::Hasty];
const ROUNDS: u32 = 50;

/// A trial with one fault of each kind and `ROUNDS` of everything, in which `fails` says what the kinds fail with.
fn report(fails: impl Fn(Kind) -> Option<&'static str>) -> Report {
    let at = Duration::from_secs;
    let mut history = History::default();
    history.add(Record::Begun(Begun { seed: 1, seconds: TRIAL.as_secs(), queues: Queues::Durable }));
    history.add(Record::Paced(Paced { workers: 1, capacity: 100, pace: 50 }));
    for (number, kind) in (0..).zip(KINDS.repeat(ROUNDS as usize)) {
        let failure = |kind: &str, executed| Failure { kind: kind.to_owned(), executed, text: String::new() };
        let failure = match (fails(kind), kind) {
            (Some(error), _) => Some(failure(error, Execution::Maybe)),
            (None, Kind::Undeliverable) => Some(failure("Undeliverable", Execution::No)),
            (None, _) => None,
        };
        if failure.is_none() {
            for server in 0..=u8::from(kind == Kind::Fanout) {
                let start = Start { number, server, redelivered: false, at: at(1) };
                history.add(if kind == Kind::Notification {
                    Record::EventStarted(start)
                } else {
                    Record::MethodStarted(start)
                });
            }
        }
        history.add(Record::Ended(Ended {
            number,
            kind,
            phase: Phase::During,
            place: None,
            begun: at(1),
            done: at(2),
            allowed: at(2),
            failure,
        }));
    }
    let faults = [
        FaultKind::Cut(FaultTarget::First),
        FaultKind::Reset(FaultTarget::First),
        FaultKind::CloseAll,
        FaultKind::Kill,
        FaultKind::Freeze,
        FaultKind::Alarm,
    ];
    for (place, kind) in (0..).zip(faults) {
        let begun = at(10 + place);
        history.add(Record::Fault(Fault { kind, begun, over: begun, closed: begun, recovered: true }));
    }
    history.add(Record::Over(Over { at: TRIAL, attempted: 7 * ROUNDS }));
    Report::on(&history)
}

pub(crate) fn a_run_in_which_everything_is_as_it_should_be_is_well() {
    let report = report(|_| None);
    assert!(report.is_well(), "{report}");
}

pub(crate) fn a_library_whose_every_call_times_out_is_not_well() {
    let is_call = |kind| matches!(kind, Kind::Call | Kind::Once | Kind::Hasty);
    let calls = report(|kind| is_call(kind).then_some("Timeout"));
    assert!(!calls.is_well());
    let text = calls.to_string();
    for line in [
        "too few calls succeeded outside faults: attempted succeeded failed:       150         0    150  150 Timeout",
        "no Call succeeded outside faults",
        "no Once succeeded outside faults",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    // Also one whose calls work now and then.
    assert!(!report(|kind| (kind == Kind::Hasty).then_some("Timeout")).is_well());
    let text = report(|_| Some("Timeout")).to_string();
    for kind in [Kind::Cast, Kind::Fanout, Kind::Notification, Kind::Undeliverable] {
        assert!(text.contains(&format!("no {kind:?} succeeded outside faults")), "{text}");
    }
}
