use super::*;

/// What is broken by a history in which a connection is lost between what `before` and `after` write.
fn broken_over_a_cut<T>(before: impl Fn(&mut Script) -> T, after: impl Fn(&mut Script, T)) -> Vec<&'static Rule> {
    broken(|script| {
        let begun = before(script);
        let cut = script.begin(Step::Cut { after: 0 });
        script.0.events.push(Event::Cutting(cut));
        script.end(cut, Outcome::Done);
        after(script, begun);
    })
}

/// The acknowledgement of the first server may be lost with its connection.
#[test]
fn what_was_sent_before_a_cut_may_come_again_marked_at_another_server() {
    let rules = broken_over_a_cut(
        |script| {
            let cast = script.cast(Request::cast("t"));
            script.ran(0, cast);
            cast
        },
        |script, cast| script.ran_as(1, cast, true),
    );
    assert_eq!(rules, [] as [&Rule; 0]);
}

/// Without the mark, the second run counts as one of its own.
#[test]
fn what_comes_again_after_a_cut_must_say_so() {
    let rules = broken_over_a_cut(
        |script| {
            let cast = script.cast(Request::cast("t"));
            script.ran(0, cast);
            cast
        },
        |script, cast| script.ran(1, cast),
    );
    assert_eq!(rules, [&rules::RUNS_ONCE]);
}

/// The mark excuses a second run, but not at the same server.
#[test]
fn a_server_runs_nothing_twice_whatever_comes_again() {
    let rules = broken_over_a_cut(
        |script| {
            let cast = script.cast(Request::cast("t"));
            script.ran(0, cast);
            cast
        },
        |script, cast| script.ran_as(0, cast, true),
    );
    assert_eq!(rules, [&rules::ONCE_IN_A_LIFE]);
}

/// The bus owned the cast before the cut.
#[test]
fn a_cast_that_was_confirmed_runs_over_a_cut() {
    let rules = broken_over_a_cut(|script| script.cast(Request::cast("t")), |_, _| {});
    assert_eq!(rules, [&rules::CAST_RUNS]);
}

/// Tests a second run and a lost send, each of which a cut before the send cannot explain.
#[test]
fn a_cut_excuses_nothing_that_came_after_it() {
    let again = broken_over_a_cut(
        |_| (),
        |script, ()| {
            let cast = script.cast(Request::cast("t"));
            script.ran(0, cast);
            script.ran_as(1, cast, true);
        },
    );
    assert_eq!(again, [&rules::RUNS_ONCE, &rules::MARK]);
    let lost = broken_over_a_cut(
        |_| (),
        |script, ()| {
            let cast = script.send(Request::cast("t"));
            script.end(cast, Outcome::Disconnected { perhaps_sent: true });
        },
    );
    assert_eq!(lost, [&rules::SUCCEEDS]);
}

/// A sender that reports "not sent" may send again, so the request must not run.
#[test]
fn a_request_whose_connection_was_lost_runs_only_if_it_may_have_been_sent() {
    let ended = |perhaps_sent: bool| {
        broken_over_a_cut(
            |script| script.send(Request::call("t")),
            move |script, call| {
                script.ran(0, call);
                script.end(call, Outcome::Disconnected { perhaps_sent });
            },
        )
    };
    assert_eq!(ended(true), [] as [&Rule; 0]);
    assert_eq!(ended(false), [&rules::NEVER_RUNS]);
}

/// A call that ran must be answered, although the cut may delay its reply.
#[test]
fn a_call_may_go_with_its_connection_and_its_answer_may_not() {
    let timed_out = |runs: bool| {
        broken_over_a_cut(
            |script| script.send(Request::call("t")),
            move |script, call| {
                if runs {
                    script.ran(0, call);
                }
                script.end(call, Outcome::TimedOut);
            },
        )
    };
    assert_eq!(timed_out(false), [] as [&Rule; 0]);
    assert_eq!(timed_out(true), [&rules::ANSWERED]);
}

/// The cut itself reports it, although no message was in flight.
#[test]
fn a_connection_that_stays_lost_is_a_violation() {
    let rules = broken(|script| {
        let cut = script.begin(Step::Cut { after: 0 });
        script.0.events.push(Event::Cutting(cut));
        script.end(cut, Outcome::Broken { error: "it is lost".to_owned() });
    });
    assert_eq!(rules, [&rules::BACK]);
}
