//! What is excused at foreign servers, and only there.

use super::*;

/// The rules that are broken by a history of one server: those that count, and those that are excused.
fn judged(server: Server, write: impl Fn(&mut Script)) -> (Vec<&'static Rule>, Vec<&'static Rule>) {
    let mut script = Script(History::default());
    script.done(Step::Start { actor: 0 });
    write(&mut script);
    let program = Program::new().server(server);
    let (excused, counted): (Vec<_>, Vec<_>) =
        judge(&program, &script.0, Budget::default()).into_iter().partition(|violation| violation.excused);
    let rules = |violations: Vec<Violation>| violations.into_iter().map(|violation| violation.rule).collect();
    (rules(counted), rules(excused))
}

/// The tests call it as it is for our own server, and with `foreign` for one of the reference.
fn server() -> Server {
    Server::new("t", "a").interface("1.0")
}

/// The same history counts against a server of this library.
#[test]
fn what_is_sent_while_a_foreign_server_stops_may_be_lost() {
    let at_stop = |script: &mut Script| {
        let stop = script.begin(Step::Stop { actor: 0 });
        script.cast(Request::cast("t"));
        script.end(stop, Outcome::Done);
    };
    assert_eq!(judged(server(), at_stop), (vec![&rules::CAST_RUNS], vec![]));
    assert_eq!(judged(server().foreign(), at_stop), (vec![], vec![&rules::CAST_RUNS]));
}

/// The reference has no such counter, so the sum of a mixed program may be too small.
#[test]
fn a_foreign_server_need_not_count_what_it_loses() {
    let uncounted = |script: &mut Script| {
        let stop = script.begin(Step::Hurry { actor: 0 });
        script.cast(Request::cast("t"));
        script.end(stop, Outcome::Done);
        script.0.events.push(Event::Dropped(0));
    };
    assert!(judged(server(), uncounted).0.contains(&&rules::SUMS));
    let (counted, excused) = judged(server().foreign(), uncounted);
    assert!(counted.is_empty() && excused.contains(&&rules::SUMS), "{counted:?} {excused:?}");
}

/// Without this limit a divergence would excuse every request of a program that stops its server.
#[test]
fn what_a_foreign_server_had_time_to_run_must_have_run() {
    let long_before = |script: &mut Script| {
        script.cast(Request::cast("t"));
        script.0.events.push(Event::Settled);
        script.done(Step::Stop { actor: 0 });
    };
    assert_eq!(judged(server().foreign(), long_before), (vec![&rules::CAST_RUNS], vec![]));
    let after = |script: &mut Script| {
        script.done(Step::Stop { actor: 0 });
        script.cast(Request::cast("t"));
        script.done(Step::Start { actor: 0 });
        script.0.events.push(Event::Settled);
    };
    assert_eq!(judged(server().foreign(), after), (vec![&rules::CAST_RUNS], vec![]));
}

/// The call ended before the stop began, so the stop cannot have lost it.
#[test]
fn a_call_that_timed_out_is_not_excused_by_a_later_stop() {
    let unanswered = |script: &mut Script| {
        let number = script.send(Request::call("t"));
        script.end(number, Outcome::TimedOut);
        script.done(Step::Stop { actor: 0 });
    };
    assert_eq!(judged(server().foreign(), unanswered), (vec![&rules::ANSWERED], vec![]));
}

#[test]
fn what_a_foreign_server_was_doing_when_it_was_killed_is_gone() {
    let cut_short = |script: &mut Script| {
        let number = script.cast(Request::cast("t"));
        script.ran(0, number);
        script.done(Step::Kill { actor: 0 });
        script.done(Step::Start { actor: 0 });
        script.0.events.push(Event::Settled);
    };
    assert_eq!(judged(server().at_least_once(), cut_short), (vec![&rules::RUNS_AGAIN], vec![]));
    assert_eq!(judged(server().at_least_once().foreign(), cut_short), (vec![], vec![&rules::RUNS_AGAIN]));
}

#[test]
fn nothing_runs_twice_at_a_foreign_server_that_was_asked_to_settle_afterwards() {
    let twice = |script: &mut Script| {
        let number = script.cast(Request::cast("t"));
        script.ran(0, number);
        script.done(Step::Kill { actor: 0 });
        script.done(Step::Start { actor: 0 });
        script.ran_as(0, number, true);
        script.0.events.push(Event::Settled);
    };
    assert!(judged(server().at_least_once().foreign(), twice).0.contains(&&rules::RUNS_ONCE));
}

#[test]
fn a_foreign_server_with_one_thread_keeps_the_order() {
    let swapped = |script: &mut Script| {
        let (first, second) = (script.cast(Request::cast("t")), script.cast(Request::cast("t")));
        script.ran(0, second);
        script.ran(0, first);
    };
    assert_eq!(judged(server().foreign(), swapped), (vec![], vec![&rules::ORDER]));
    assert_eq!(judged(server().foreign().concurrency(1), swapped), (vec![&rules::ORDER], vec![]));
    assert_eq!(judged(server(), swapped), (vec![&rules::ORDER], vec![]));
}

#[test]
fn a_foreign_sender_may_meet_no_exchange_for_a_fanout_when_nobody_is_up() {
    let gone = |script: &mut Script| {
        let number = script.send(Request::fanout("t"));
        script.end(number, Outcome::Broken { error: "(404) NOT_FOUND - no exchange 't_fanout'".to_owned() });
    };
    let stopped = |script: &mut Script| {
        script.done(Step::Stop { actor: 0 });
        gone(script);
    };
    let program = || Program::new().server(server()).foreign_sender(0);
    let counted = |program: Program, write: &dyn Fn(&mut Script)| {
        let mut script = Script(History::default());
        script.done(Step::Start { actor: 0 });
        write(&mut script);
        let violations = judge(&program, &script.0, Budget::default());
        violations
            .into_iter()
            .filter(|violation| !violation.excused)
            .map(|violation| violation.rule)
            .collect::<Vec<_>>()
    };
    assert_eq!(counted(program(), &stopped), [] as [&Rule; 0]);
    assert_eq!(counted(program(), &gone), [&rules::SUCCEEDS]);
    assert_eq!(counted(program().ours(), &stopped), [&rules::SUCCEEDS]);
}
