//! The comparison of two drivers under test: it finds nothing between two that are the same, and every difference that it
//! promises to see.

mod harness;

use harness::Fake;
use oslo_messaging_conformance::programs::{Options, Report, differential};
use oslo_messaging_conformance::{Flaw, Flawed};

#[test]
fn a_driver_gives_what_it_gives() {
    for report in differential(Fake::default, Fake::default, &Options::new(100)) {
        assert!(report.held(), "{report}");
    }
}

/// Whether a driver with `flaw` gives the same as one without.
fn gets_away(flaw: Flaw) -> bool {
    let options = Options::new(100).with_seed(1);
    differential(Fake::default, || Flawed::new(Fake::default(), flaw), &options).iter().all(Report::held)
}

#[test]
fn a_request_that_runs_elsewhere_is_a_difference() {
    assert_eq!([Flaw::ServerIgnored, Flaw::FanoutReachesOne].map(gets_away), [false; 2]);
}

#[test]
fn an_answer_that_does_not_come_is_a_difference() {
    assert_eq!([Flaw::ReplyCrossed, Flaw::MandatoryAlways].map(gets_away), [false; 2]);
}

#[test]
fn a_message_that_comes_less_often_or_otherwise_is_a_difference() {
    assert_eq!([Flaw::RequeueDrops, Flaw::PoolNotShared, Flaw::RedeliveredFlagLost].map(gets_away), [false; 3]);
}

#[test]
fn an_event_that_comes_to_another_end_is_a_difference() {
    let notify = |flaw: Flaw| {
        let options = Options::new(100).with_seed(1);
        let [_, notify, _] = differential(Fake::default, || Flawed::new(Fake::default(), flaw), &options);
        notify.held()
    };
    assert_eq!([Flaw::RequeueDrops, Flaw::RedeliveredFlagLost, Flaw::PoolNotShared].map(notify), [false; 3]);
}

#[test]
fn a_difference_is_told_with_both_sides_and_the_smallest_program() {
    let options = Options::new(100).with_seed(1);
    let [.., delivery] = differential(Fake::default, || Flawed::new(Fake::default(), Flaw::QueueNotEnsured), &options);
    let text = delivery.to_string();
    assert!(
        text.contains("message 0 in queue 'n.info': 'handed over as new' on oslo-messaging-fake, 'nothing' on"),
        "{text}"
    );
    let to = r#"{"notification":{"exchange":"x","priority":"info","topic":"n"}}"#;
    let publish = format!(r#"{{"ensure_queue":true,"life":"endless","mandatory":true,"to":{to},"transport":1}}"#);
    let smallest = format!(r#"{{"delivery":{{"steps":[{{"publish":{{"count":1,"publish":{publish}}}}}]}}}}"#);
    assert!(text.ends_with(&smallest), "{text}");
}
