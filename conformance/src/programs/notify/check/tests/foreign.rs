//! What is excused at foreign listeners, and only there.

use super::*;

/// A history that a test writes.
struct Script {
    history: History,
}

impl Script {
    fn push(&mut self, happened: Happened) -> usize {
        self.history.events.push((Instant::now(), happened));
        self.history.events.len() - 1
    }

    fn begin(&mut self, step: Step) -> usize {
        self.history.steps.push(step);
        let number = self.history.steps.len() - 1;
        self.push(Happened::Begun(number));
        number
    }

    fn end(&mut self, step: usize) {
        self.push(Happened::Ended { step, outcome: Ok(()) });
    }

    fn done(&mut self, step: Step) -> usize {
        let number = self.begin(step);
        self.end(number);
        number
    }

    fn sent(&mut self) -> usize {
        self.done(Step::Send { sender: 0, message: Event::new("x", "t", Priority::Info) })
    }

    fn ran_at(&mut self, listener: usize, number: usize, redelivered: bool) -> usize {
        let message_id = format!("id-{number}");
        let heard = Heard { number: Some(number), attempt: 1, redelivered, message_id, wrong: None };
        self.push(Happened::Ran { listener, heard: vec![heard] })
    }

    fn had(&mut self, number: usize, redelivered: bool, answer: Answer) {
        let run = self.ran_at(0, number, redelivered);
        self.push(Happened::Answered { run, answer });
    }

    fn handled(&mut self, number: usize, redelivered: bool) {
        self.had(number, redelivered, Answer::Handled);
    }

    /// The listener is stopped, and `during` happens before it has ended.
    fn stop(&mut self, during: impl FnOnce(&mut Self)) {
        let stop = self.begin(Step::Stop { actor: 0 });
        during(self);
        self.end(stop);
    }
}

type Rules = Vec<&'static Rule>;

/// The rules that are broken by a history of `listeners`, of which the first is up:
/// those that count, and those that are excused.
fn judged_of(listeners: Vec<Listener>, write: impl Fn(&mut Script)) -> (Rules, Rules) {
    let mut script = Script { history: History::default() };
    let program = Program { listeners, ..Program::new() };
    for listener in 0..program.listeners.len() {
        script.done(Step::Start { actor: listener });
    }
    write(&mut script);
    let (excused, counted): (Vec<_>, Vec<_>) =
        judge(&program, &script.history, None).into_iter().partition(|violation| violation.excused);
    let rules = |violations: Vec<Violation>| violations.into_iter().map(|violation| violation.rule).collect();
    (rules(counted), rules(excused))
}

fn judged(listener: Listener, write: impl Fn(&mut Script)) -> (Rules, Rules) {
    judged_of(vec![listener], write)
}

fn ours() -> Listener {
    Listener::new("x", "t", Priority::Info)
}

fn foreign() -> Listener {
    ours().foreign()
}

#[test]
fn what_a_handler_raises_may_come_back_to_a_foreign_listener_alone() {
    let again = |script: &mut Script| {
        let number = script.sent();
        script.had(number, false, Answer::Failed);
        script.handled(number, true);
    };
    assert_eq!(judged(ours(), again), (vec![&rules::TRIES], vec![]));
    assert_eq!(judged(foreign(), again), (vec![], vec![&rules::TRIES]));
    assert_eq!(judged(foreign().drops().tries(1), again), (vec![&rules::TRIES], vec![]));
    let unmarked = |script: &mut Script| {
        let number = script.sent();
        script.had(number, false, Answer::Failed);
        script.handled(number, false);
    };
    assert!(judged(foreign(), unmarked).0.contains(&&rules::MARK));
}

#[test]
fn what_a_handler_raises_must_come_back_where_a_foreign_listener_gives_back() {
    let gone = |script: &mut Script| {
        let number = script.sent();
        script.had(number, false, Answer::Failed);
    };
    assert_eq!(judged(foreign(), gone), (vec![&rules::NOT_LOST], vec![]));
    assert_eq!(judged(foreign().drops().tries(1), gone), (vec![], vec![]));
}

#[test]
fn what_a_foreign_listener_handled_does_not_come_again() {
    let at_stop = |script: &mut Script| {
        let number = script.sent();
        script.stop(|script| script.handled(number, false));
        script.done(Step::Start { actor: 0 });
        script.handled(number, true);
    };
    assert_eq!(judged(foreign(), at_stop), (vec![&rules::ONCE], vec![]));
    let while_it_runs = |script: &mut Script| {
        let number = script.sent();
        script.handled(number, false);
        script.handled(number, true);
    };
    assert_eq!(judged(foreign(), while_it_runs), (vec![&rules::ONCE], vec![]));
}

#[test]
fn a_foreign_listener_of_batches_may_give_back_what_its_filter_left_out() {
    let taken_along = |script: &mut Script| {
        let number = script.sent();
        let run = script.ran_at(1, number, true);
        script.push(Happened::Answered { run, answer: Answer::Handled });
    };
    let filtered = || ours().types("orders").batch(2);
    assert_eq!(judged_of(vec![filtered(), ours()], taken_along), (vec![&rules::MARK], vec![]));
    assert_eq!(judged_of(vec![filtered().foreign(), ours()], taken_along), (vec![], vec![&rules::MARK]));
    let dropping = filtered().foreign().drops().tries(1);
    assert_eq!(judged_of(vec![dropping, ours()], taken_along), (vec![&rules::MARK], vec![]));
    assert_eq!(judged_of(vec![foreign().types("orders"), ours()], taken_along), (vec![&rules::MARK], vec![]));
    assert_eq!(judged_of(vec![foreign().batch(2), ours()], taken_along), (vec![&rules::MARK], vec![]));
}

#[test]
fn a_foreign_listener_with_one_thread_keeps_the_order() {
    let swapped = |script: &mut Script| {
        let (first, second) = (script.sent(), script.sent());
        script.handled(second, false);
        script.handled(first, false);
    };
    assert_eq!(judged(ours(), swapped), (vec![&rules::ORDER], vec![]));
    assert_eq!(judged(foreign(), swapped), (vec![], vec![&rules::ORDER]));
    assert_eq!(judged(foreign().concurrency(1), swapped), (vec![&rules::ORDER], vec![]));
}

#[test]
fn a_foreign_listener_need_not_count_but_what_is_counted_must_be_there() {
    let counted = |counted: Counted| {
        move |script: &mut Script| {
            let number = script.sent();
            script.handled(number, false);
            script.stop(|_| {});
            script.push(Happened::Counted(counted));
        }
    };
    assert_eq!(judged(ours(), counted(Counted::default())), (vec![&rules::SUMS], vec![]));
    assert_eq!(judged(foreign(), counted(Counted::default())), (vec![], vec![&rules::SUMS]));
    let invented = counted(Counted { handled: 2, ..Counted::default() });
    assert_eq!(judged(foreign(), invented).0, [&rules::SUMS]);
    let dead = counted(Counted { dead: 1, ..Counted::default() });
    assert_eq!(judged(foreign(), dead).0, [&rules::SUMS]);
}

#[test]
fn a_foreign_listener_is_excused_from_nothing_else() {
    let broken = |write: &dyn Fn(&mut Script)| judged(foreign(), write).0;
    assert_eq!(
        broken(&|script| {
            script.sent();
        }),
        [&rules::NOT_LOST]
    );
    assert_eq!(
        broken(&|script| {
            let number = script.sent();
            let (first, second) = (script.ran_at(0, number, false), script.ran_at(0, number, true));
            script.push(Happened::Answered { run: second, answer: Answer::Handled });
            script.push(Happened::Answered { run: first, answer: Answer::Handled });
        }),
        [&rules::ONE_HAS_IT]
    );
    assert_eq!(
        broken(&|script| {
            let number = script.sent();
            let wrong = Some("another priority".to_owned());
            let heard =
                Heard { number: Some(number), attempt: 1, redelivered: false, message_id: String::new(), wrong };
            let run = script.push(Happened::Ran { listener: 0, heard: vec![heard] });
            script.push(Happened::Answered { run, answer: Answer::Handled });
        }),
        [&rules::UNCHANGED]
    );
    assert_eq!(
        broken(&|script| {
            let number = script.sent();
            script.had(number, false, Answer::Requeued);
        }),
        [&rules::NOT_LOST]
    );
    assert_eq!(
        broken(&|script| {
            let number = script.sent();
            script.stop(|_| {});
            script.handled(number, false);
        }),
        [&rules::NOTHING_LATER]
    );
}
