//! A history that keeps the rules, and changes of it that each break one.

mod foreign;

use oslo_messaging::Priority;
use tokio::time::Instant;

use super::*;
use crate::Disturbance;
use crate::programs::Rule;
use crate::programs::notify::history::{Answer, Counted, Dead, Happened, Heard, Letter};
use crate::programs::notify::program::Step;
use crate::programs::notify::rules;
use crate::programs::notify::{Event, Listener};

/// The place in the history of the first run, and the number of the one event.
const FIRST: usize = 4;
const EVENT: usize = 1;

fn heard(attempt: u32, redelivered: bool) -> Heard {
    Heard { number: Some(EVENT), attempt, redelivered, message_id: "id".to_owned(), wrong: None }
}

fn ran(attempt: u32, redelivered: bool) -> Happened {
    Happened::Ran { listener: 0, heard: vec![heard(attempt, redelivered)] }
}

fn answered(run: usize, answer: Answer) -> Happened {
    Happened::Answered { run: FIRST + run, answer }
}

fn dead(tries: u32) -> Happened {
    let (dead, heard) = (Some(Dead { tries, at_limit: false, wrong: None }), heard(1, false));
    Happened::Found(Letter { queue: "t.info".to_owned(), dead, heard })
}

fn at_limit(deliveries: u32) -> Happened {
    let (dead, heard) = (Some(Dead { tries: deliveries, at_limit: true, wrong: None }), heard(1, false));
    Happened::Found(Letter { queue: "t.info".to_owned(), dead, heard })
}

fn counted(handled: u64, dead: u64, dropped: u64) -> Happened {
    Happened::Counted(Counted { handled, dead, dropped })
}

/// What is broken if `then` happens between the confirmation of an event and the
/// end of its only listener, which tries it twice.
fn broken(then: Vec<Happened>) -> Vec<&'static str> {
    broken_with(None, then)
}

/// The same with a limit of deliveries.
fn broken_with(limit: Option<Disturbance>, then: Vec<Happened>) -> Vec<&'static str> {
    let program = Program { limit, ..Program::new().listener(Listener::new("x", "t", Priority::Info).tries(2)) };
    let event = Step::Send { sender: 0, message: Event::new("x", "t", Priority::Info) };
    let steps = vec![Step::Start { actor: 0 }, event, Step::Stop { actor: 0 }, Step::Cut { after: 0 }];
    let done = |step| [Happened::Begun(step), Happened::Ended { step, outcome: Ok(()) }];
    let (now, happened) = (Instant::now(), done(0).into_iter().chain(done(1)).chain(then).chain(done(2)));
    let history = History { steps, events: happened.map(|happened| (now, happened)).collect() };
    let mut rules: Vec<_> = check(&program, &history, None).iter().map(|violation| violation.rule.id).collect();
    rules.dedup();
    rules
}

/// The same if connections are lost between what happens `before` and `after`; the places of
/// runs in `after` are counted from its beginning.
fn broken_over_a_cut(before: &[Happened], after: &[Happened]) -> Vec<&'static str> {
    let cut = [Happened::Begun(3), Happened::Cutting(3), Happened::Ended { step: 3, outcome: Ok(()) }];
    let later = before.len() + cut.len();
    let moved = after.iter().cloned().map(|happened| match happened {
        Happened::Answered { run, answer } => Happened::Answered { run: run + later, answer },
        other => other,
    });
    broken(before.iter().chain(&cut).cloned().chain(moved).collect())
}

fn ids(rules: &[&Rule]) -> Vec<&'static str> {
    rules.iter().map(|rule| rule.id).collect()
}

#[test]
fn an_event_that_is_handled_requeued_or_given_up_keeps_the_rules() {
    use Answer::{Failed, Handled, Requeued};
    assert_eq!(broken(vec![ran(1, false), answered(0, Handled)]), [""; 0]);
    let given_back = vec![ran(1, false), answered(0, Requeued), ran(1, true), answered(2, Handled)];
    assert_eq!(broken(given_back), [""; 0]);
    let given_up = vec![ran(1, false), answered(0, Failed), ran(2, false), answered(2, Failed), dead(2)];
    assert_eq!(broken(given_up), [""; 0]);
}

#[test]
fn a_wrong_end_of_an_event_breaks_its_rule() {
    use Answer::{Failed, Handled, Requeued};
    let failed = |more: Vec<Happened>| {
        let tries = [ran(1, false), answered(0, Failed), ran(2, false), answered(2, Failed)];
        tries.into_iter().chain(more).collect::<Vec<_>>()
    };
    for (then, rules) in [
        (vec![], vec![&rules::NOT_LOST]),
        (vec![ran(1, false)], vec![&rules::NOT_LOST]),
        (vec![ran(1, false), answered(0, Handled), ran(1, true), answered(2, Handled)], vec![&rules::ONCE]),
        (vec![ran(1, false), ran(1, true), answered(1, Handled), answered(0, Handled)], vec![&rules::ONE_HAS_IT]),
        (vec![ran(1, false), answered(0, Requeued), ran(1, false), answered(2, Handled)], vec![&rules::MARK]),
        (vec![ran(1, false), answered(0, Requeued), ran(2, false), answered(2, Handled)], vec![&rules::GIVES_BACK]),
        (vec![ran(1, true), answered(0, Handled)], vec![&rules::MARK]),
        (vec![ran(2, false), answered(0, Handled)], vec![&rules::TRIES]),
        (vec![ran(1, false), answered(0, Failed)], vec![&rules::NOT_LOST]),
        (failed(vec![ran(3, false), answered(4, Handled), dead(2)]), vec![&rules::TRIES]),
        (failed(vec![]), vec![&rules::DEAD]),
        (failed(vec![dead(2), dead(2)]), vec![&rules::DEAD]),
        (failed(vec![dead(5)]), vec![&rules::DEAD_SAYS]),
        (vec![ran(1, false), answered(0, Handled), dead(2)], vec![&rules::DEAD]),
    ] {
        assert_eq!(broken(then.clone()), ids(&rules), "{then:?}");
    }
}

#[test]
fn an_event_may_come_again_over_a_cut_and_must_still_be_handled() {
    use Answer::{Failed, Handled};
    let handled = [ran(1, true), answered(0, Handled)];
    assert_eq!(broken_over_a_cut(&[], &handled), [""; 0]);
    assert_eq!(broken_over_a_cut(&[], &[]), ids(&[&rules::NOT_LOST]));
    // The duplicate filter of one listener knows each event that it works on or has handled.
    assert_eq!(broken_over_a_cut(&[ran(1, false), answered(0, Handled)], &handled), ids(&[&rules::ONCE]));
    assert_eq!(broken_over_a_cut(&[ran(1, false)], &handled), ids(&[&rules::ONE_HAS_IT]));
    // An event that it gave up may come again, so its dead letter may be in the queue twice.
    let given_up = [ran(1, false), answered(0, Failed), ran(2, false), answered(2, Failed)];
    assert_eq!(broken_over_a_cut(&given_up, &[dead(2), dead(2)]), [""; 0]);
    assert_eq!(broken_over_a_cut(&given_up, &[]), ids(&[&rules::DEAD]));
    let tried_on = [ran(2, false), answered(0, Handled)];
    assert_eq!(broken_over_a_cut(&[ran(1, false), answered(0, Failed)], &tried_on), [""; 0]);
    assert_eq!(broken_over_a_cut(&[], &tried_on), ids(&[&rules::TRIES]));
}

#[test]
fn a_cut_must_end_and_excuses_no_later_event() {
    let cut = |outcome| vec![Happened::Begun(3), Happened::Cutting(3), Happened::Ended { step: 3, outcome }];
    let lost = cut(Err("it is lost".to_owned())).into_iter().chain([ran(1, false), answered(3, Answer::Handled)]);
    assert_eq!(broken(lost.collect()), ids(&[&rules::BACK]));
    let again = [ran(1, false), answered(0, Answer::Handled), ran(1, true), answered(2, Answer::Handled)];
    assert_eq!(broken(again.into_iter().chain(cut(Ok(()))).collect()), ids(&[&rules::ONCE]));
}

#[test]
fn a_wrong_delivery_to_a_handler_breaks_its_rule() {
    use Answer::Handled;
    let wrong = Heard { wrong: Some("less".to_owned()), ..heard(1, false) };
    let unknown = Heard { number: None, message_id: "another".to_owned(), ..heard(1, false) };
    let given = |heard| vec![Happened::Ran { listener: 0, heard }, answered(0, Handled)];
    assert_eq!(broken(given(vec![wrong])), ids(&[&rules::UNCHANGED]));
    assert_eq!(broken(given(vec![heard(1, false), unknown])), ids(&[&rules::BATCH, &rules::FITS, &rules::BATCH]));
    let left = Happened::Found(Letter { queue: "t.info".to_owned(), dead: None, heard: heard(1, false) });
    assert_eq!(broken(vec![ran(1, false), answered(0, Handled), left]), ids(&[&rules::NOTHING_LEFT]));
}

#[test]
fn an_endlessly_requeued_event_is_a_dead_letter_where_deliveries_are_limited() {
    use Answer::{Handled, Requeued};
    let limited = |then| broken_with(Some(Disturbance::Limit), then);
    let returned = |times: usize, more: Vec<Happened>| {
        let each = (0..times).flat_map(|time| [ran(1, time > 0), answered(2 * time, Requeued)]);
        each.chain(more).collect::<Vec<_>>()
    };
    assert_eq!(limited(returned(3, vec![counted(0, 1, 0), at_limit(3)])), [""; 0]);
    assert_eq!(limited(returned(2, vec![ran(1, true), answered(4, Handled), counted(1, 0, 0)])), [""; 0]);
    // The broker drops it in silence, the listener does, or it runs once too often.
    assert_eq!(limited(returned(3, vec![counted(0, 0, 0)])), ids(&[&rules::NOT_LOST, &rules::SUMS]));
    assert_eq!(limited(returned(3, vec![counted(0, 1, 0)])), ids(&[&rules::NOT_LOST, &rules::SUMS]));
    assert_eq!(limited(returned(4, vec![counted(0, 1, 0), at_limit(3)])), ids(&[&rules::AT_LIMIT]));
    // After one requeue an event is below its limit; without a limit no event reaches one.
    assert_eq!(limited(returned(1, vec![counted(0, 1, 0), at_limit(3)])), ids(&[&rules::AT_LIMIT]));
    assert_eq!(limited(returned(3, vec![counted(0, 1, 0), at_limit(2)])), ids(&[&rules::AT_LIMIT]));
    assert_eq!(broken(returned(3, vec![counted(0, 1, 0), at_limit(3)])), ids(&[&rules::AT_LIMIT]));
    let failures = |then| broken_with(Some(Disturbance::LimitFailures), then);
    assert_eq!(failures(returned(5, vec![ran(1, true), answered(10, Handled), counted(1, 0, 0)])), [""; 0]);
    assert_eq!(failures(returned(5, vec![counted(0, 1, 0), at_limit(3)])), ids(&[&rules::AT_LIMIT]));
}

#[test]
fn the_counters_agree_with_the_events_sent() {
    let handled = |counts| broken(vec![ran(1, false), answered(0, Answer::Handled), counts]);
    assert_eq!(handled(counted(1, 0, 0)), [""; 0]);
    for counts in [counted(0, 0, 0), counted(2, 0, 0), counted(1, 0, 1), counted(0, 1, 0)] {
        assert_eq!(handled(counts.clone()), ids(&[&rules::SUMS]), "{counts:?}");
    }
}
