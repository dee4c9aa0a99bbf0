//! What is excused at foreign servers, and only there.

use super::*;

/// The rules that are broken by a history of one server: those that count, and those that are excused.
fn judged(server: Server, tell: impl Fn(&mut Told)) -> (Vec<&'static Rule>, Vec<&'static Rule>) {
    let mut told = Told(History::default());
    told.done(Step::Start { actor: 0 });
    tell(&mut told);
    let program = Program::new().server(server);
    let (excused, counted): (Vec<_>, Vec<_>) =
        judge(&program, &told.0, Budget::default()).into_iter().partition(|violation| violation.excused);
    let rules = |violations: Vec<Violation>| violations.into_iter().map(|violation| violation.rule).collect();
    (rules(counted), rules(excused))
}

fn server() -> Server {
    Server::new("t", "a").interface("1.0")
}

#[test]
fn what_is_sent_while_a_foreign_server_stops_may_be_lost() {
    let at_stop = |told: &mut Told| {
        let stop = told.begin(Step::Stop { actor: 0 });
        told.cast(Request::cast("t"));
        told.end(stop, Outcome::Done);
    };
    assert_eq!(judged(server(), at_stop), (vec![&rules::CAST_RUNS], vec![]));
    assert_eq!(judged(server().foreign(), at_stop), (vec![], vec![&rules::CAST_RUNS]));
}

#[test]
fn what_a_foreign_server_had_time_to_run_must_have_run() {
    let long_before = |told: &mut Told| {
        told.cast(Request::cast("t"));
        told.0.events.push(Event::Settled);
        told.done(Step::Stop { actor: 0 });
    };
    assert_eq!(judged(server().foreign(), long_before), (vec![&rules::CAST_RUNS], vec![]));
    let after = |told: &mut Told| {
        told.done(Step::Stop { actor: 0 });
        told.cast(Request::cast("t"));
        told.done(Step::Start { actor: 0 });
        told.0.events.push(Event::Settled);
    };
    assert_eq!(judged(server().foreign(), after), (vec![&rules::CAST_RUNS], vec![]));
}

#[test]
fn a_call_that_timed_out_is_not_excused_by_a_later_stop() {
    let unanswered = |told: &mut Told| {
        let number = told.send(Request::call("t"));
        told.end(number, Outcome::TimedOut);
        told.done(Step::Stop { actor: 0 });
    };
    assert_eq!(judged(server().foreign(), unanswered), (vec![&rules::ANSWERED], vec![]));
}

#[test]
fn what_a_foreign_server_was_doing_when_it_was_killed_is_gone() {
    let cut_short = |told: &mut Told| {
        let number = told.cast(Request::cast("t"));
        told.ran(0, number);
        told.done(Step::Kill { actor: 0 });
        told.done(Step::Start { actor: 0 });
        told.0.events.push(Event::Settled);
    };
    assert_eq!(judged(server().at_least_once(), cut_short), (vec![&rules::RUNS_AGAIN], vec![]));
    assert_eq!(judged(server().at_least_once().foreign(), cut_short), (vec![], vec![&rules::RUNS_AGAIN]));
}

#[test]
fn nothing_runs_twice_at_a_foreign_server_that_was_asked_to_settle_afterwards() {
    let twice = |told: &mut Told| {
        let number = told.cast(Request::cast("t"));
        told.ran(0, number);
        told.done(Step::Kill { actor: 0 });
        told.done(Step::Start { actor: 0 });
        told.ran_as(0, number, true);
        told.0.events.push(Event::Settled);
    };
    assert!(judged(server().at_least_once().foreign(), twice).0.contains(&&rules::RUNS_ONCE));
}

#[test]
fn a_foreign_server_with_one_thread_keeps_the_order() {
    let swapped = |told: &mut Told| {
        let (first, second) = (told.cast(Request::cast("t")), told.cast(Request::cast("t")));
        told.ran(0, second);
        told.ran(0, first);
    };
    assert_eq!(judged(server().foreign(), swapped), (vec![], vec![&rules::ORDER]));
    assert_eq!(judged(server().foreign().concurrency(1), swapped), (vec![&rules::ORDER], vec![]));
    assert_eq!(judged(server(), swapped), (vec![&rules::ORDER], vec![]));
}

#[test]
fn a_foreign_sender_may_meet_no_exchange_for_a_fanout_when_nobody_is_up() {
    let gone = |told: &mut Told| {
        let number = told.send(Request::fanout("t"));
        told.end(number, Outcome::Broken { error: "(404) NOT_FOUND - no exchange 't_fanout'".to_owned() });
    };
    let stopped = |told: &mut Told| {
        told.done(Step::Stop { actor: 0 });
        gone(told);
    };
    let program = || Program::new().server(server()).foreign_sender(0);
    let counted = |program: Program, tell: &dyn Fn(&mut Told)| {
        let mut told = Told(History::default());
        told.done(Step::Start { actor: 0 });
        tell(&mut told);
        let violations = judge(&program, &told.0, Budget::default());
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
