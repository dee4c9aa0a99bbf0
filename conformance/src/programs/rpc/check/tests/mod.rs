mod cuts;
mod foreign;

use std::time::Duration;

use super::*;
use crate::programs::Rule;
use crate::programs::rpc::history::{Event, Outcome, Run};
use crate::programs::rpc::program::{FAILURE, Server, Step};
use crate::programs::rpc::request::{Method, Request};
use crate::programs::rpc::rules;

/// A history that is told by hand: servers 0 and 1 share a topic, server 2 has another one and a namespace.
struct Told(History);

impl Told {
    fn program() -> Program {
        Program::new()
            .server(Server::new("t", "a").interface("1.0"))
            .server(Server::new("t", "b").interface("1.0"))
            .server(Server::new("u", "c").interface_in("n", "2.0").at_least_once())
    }

    fn begin(&mut self, step: Step) -> usize {
        let number = self.0.steps.len();
        self.0.steps.push(step);
        self.0.events.push(Event::Begun(number));
        number
    }

    fn end(&mut self, step: usize, outcome: Outcome) {
        self.0.events.push(Event::Ended { step, outcome, took: Duration::ZERO });
    }

    fn done(&mut self, step: Step) {
        let number = self.begin(step);
        self.end(number, Outcome::Done);
    }

    fn send(&mut self, request: Request) -> usize {
        self.begin(Step::Send { sender: 0, message: request })
    }

    fn ran(&mut self, server: usize, number: usize) {
        self.ran_as(server, number, false);
    }

    fn ran_as(&mut self, server: usize, number: usize, redelivered: bool) {
        let Step::Send { message: request, .. } = &self.0.steps[number] else { panic!("only messages run") };
        let method = request.method.name().to_owned();
        self.0.events.push(Event::Ran(Run { server, number, method, redelivered }));
    }

    fn cast(&mut self, request: Request) -> usize {
        let number = self.send(request);
        self.end(number, Outcome::Done);
        number
    }

    fn call(&mut self, request: Request, server: usize, outcome: impl Fn(usize) -> Outcome) {
        let number = self.send(request);
        self.ran(server, number);
        self.end(number, outcome(number));
    }
}

fn returned(server: usize) -> impl Fn(usize) -> Outcome {
    move |number| Outcome::Returned { server, number }
}

fn raised(class: &str, message: usize) -> Outcome {
    Outcome::Raised { class: class.to_owned(), message: message.to_string() }
}

/// What is broken by a history in which every server is up while `tell` tells.
fn broken(tell: impl Fn(&mut Told)) -> Vec<&'static Rule> {
    let mut told = Told(History::default());
    (0..3).for_each(|server| told.done(Step::Start { actor: server }));
    tell(&mut told);
    told.0.events.push(Event::Settled);
    (0..3).for_each(|server| told.done(Step::Stop { actor: server }));
    check(&Told::program(), &told.0, Budget::default()).into_iter().map(|violation| violation.rule).collect()
}

#[test]
fn a_history_in_which_everything_runs_where_it_must_breaks_nothing() {
    let rules = broken(|told| {
        told.call(Request::call("t"), 1, returned(1));
        told.call(Request::call("t").server("a").method(Method::Fail), 0, |number| raised(FAILURE, number));
        let refused = told.send(Request::call("u").version("2.0"));
        told.end(refused, raised("UnsupportedVersion", 0));
        let missing = told.send(Request::call("t").method(Method::Missing));
        told.end(missing, raised("NoSuchMethod", 0));
        let nobody = told.send(Request::call("v"));
        told.end(nobody, Outcome::Undeliverable);
        let first = told.cast(Request::cast("t"));
        let second = told.cast(Request::cast("t"));
        // Two servers may overtake each other.
        told.ran(1, second);
        told.ran(0, first);
        let fanout = told.cast(Request::fanout("t"));
        told.ran(0, fanout);
        told.ran(1, fanout);
        told.cast(Request::cast("v"));
    });
    assert_eq!(rules, [] as [&Rule; 0]);
}

#[test]
fn every_rule_of_routing_is_broken_by_a_history_that_breaks_it() {
    let broken = |rule: &'static Rule, tell: fn(&mut Told)| assert!(broken(tell).contains(&rule), "{}", rule.id);
    broken(&rules::CAST_RUNS, |told| {
        told.cast(Request::cast("t"));
    });
    broken(&rules::RUNS_ONCE, |told| {
        let cast = told.cast(Request::cast("t"));
        told.ran(0, cast);
        told.ran(1, cast);
    });
    broken(&rules::RUNS_ONCE, |told| {
        let fanout = told.cast(Request::fanout("u").namespace("n").version("2.0"));
        told.ran(2, fanout);
        told.ran(2, fanout);
    });
    broken(&rules::RUNS_AGAIN, |told| {
        let cast = told.cast(Request::cast("u").namespace("n").version("2.0"));
        told.ran(2, cast);
        told.done(Step::Kill { actor: 2 });
        told.done(Step::Start { actor: 2 });
    });
    broken(&rules::ENTITLED, |told| {
        let cast = told.cast(Request::cast("t").server("a"));
        told.ran(1, cast);
    });
    broken(&rules::DISPATCHED, |told| {
        let cast = told.cast(Request::cast("u").namespace("n").version("2.1"));
        told.ran(2, cast);
    });
    broken(&rules::DISPATCHED, |told| {
        let call = told.send(Request::call("t"));
        told.end(call, raised("UnsupportedVersion", 0));
    });
    broken(&rules::FANOUT_REACHES, |told| {
        let fanout = told.cast(Request::fanout("t"));
        told.ran(0, fanout);
    });
    broken(&rules::FANOUT_STAYS, |told| {
        told.done(Step::Stop { actor: 1 });
        let fanout = told.cast(Request::fanout("t"));
        told.ran(0, fanout);
        told.done(Step::Start { actor: 1 });
        told.ran(1, fanout);
    });
}

#[test]
fn every_rule_of_answers_is_broken_by_a_history_that_breaks_it() {
    let broken = |rule: &'static Rule, tell: fn(&mut Told)| assert!(broken(tell).contains(&rule), "{}", rule.id);
    broken(&rules::OWN_REPLY, |told| told.call(Request::call("t"), 0, |_| Outcome::Returned { server: 0, number: 0 }));
    broken(&rules::OWN_REPLY, |told| told.call(Request::call("t"), 0, returned(1)));
    broken(&rules::OWN_REPLY, |told| {
        told.call(Request::call("t").method(Method::Fail), 0, |number| raised(FAILURE, number + 1));
    });
    broken(&rules::ANSWERED, |told| told.call(Request::call("t"), 0, |_| Outcome::TimedOut));
    broken(&rules::IN_TIME, |told| {
        let step = told.send(Request::call("t").impatient());
        told.0.events.push(Event::Ended { step, outcome: Outcome::TimedOut, took: Duration::from_secs(60) });
    });
    broken(&rules::SAYS_UNDELIVERABLE, |told| {
        let call = told.send(Request::call("v"));
        told.end(call, Outcome::TimedOut);
    });
    broken(&rules::ONLY_UNDELIVERABLE, |told| {
        let call = told.send(Request::call("t"));
        told.end(call, Outcome::Undeliverable);
    });
    broken(&rules::NEVER_RUNS, |told| told.call(Request::call("t"), 0, |_| Outcome::Undeliverable));
    broken(&rules::SUCCEEDS, |told| {
        let cast = told.send(Request::cast("v"));
        told.end(cast, Outcome::Undeliverable);
    });
}

#[test]
fn every_rule_of_order_and_of_lifecycle_is_broken_by_a_history_that_breaks_it() {
    let broken = |rule: &'static Rule, tell: fn(&mut Told)| assert!(broken(tell).contains(&rule), "{}", rule.id);
    broken(&rules::ORDER, |told| {
        let (first, second) = (told.cast(Request::cast("t")), told.cast(Request::cast("t")));
        told.ran(0, second);
        told.ran(0, first);
    });
    broken(&rules::MARK, |told| {
        let cast = told.cast(Request::cast("t"));
        told.ran_as(0, cast, true);
    });
    broken(&rules::STARTS, |told| {
        told.done(Step::Stop { actor: 0 });
        let start = told.begin(Step::Start { actor: 0 });
        told.end(start, Outcome::TimedOut);
    });
    broken(&rules::STOPS, |told| {
        let stop = told.begin(Step::Stop { actor: 0 });
        told.end(stop, Outcome::TimedOut);
        told.done(Step::Start { actor: 0 });
    });
    broken(&rules::NOTHING_LATER, |told| {
        let cast = told.cast(Request::cast("t"));
        told.done(Step::Stop { actor: 0 });
        told.ran(0, cast);
        told.done(Step::Start { actor: 0 });
    });
}

#[test]
fn what_a_server_was_handed_before_another_stopped_may_come_late_and_marked() {
    let rules = broken(|told| {
        let (first, second) = (told.cast(Request::cast("t")), told.cast(Request::cast("t")));
        told.ran(1, second);
        told.done(Step::Stop { actor: 0 });
        told.ran_as(1, first, true);
        told.done(Step::Start { actor: 0 });
    });
    assert_eq!(rules, [] as [&Rule; 0]);
}

#[test]
fn what_a_stop_in_a_hurry_drops_is_counted_and_answered() {
    let hurried = |dropped: u64, outcome: Outcome| {
        broken(|told| {
            told.cast(Request::cast("t"));
            let call = told.send(Request::call("t"));
            told.done(Step::Hurry { actor: 0 });
            told.end(call, outcome.clone());
            told.done(Step::Start { actor: 0 });
            told.0.events.push(Event::Dropped(dropped));
        })
    };
    let not_run = || Outcome::Raised { class: "RequestNotRun".to_owned(), message: String::new() };
    assert_eq!(hurried(1, not_run()), [] as [&Rule; 0]);
    assert_eq!(hurried(2, not_run()), [] as [&Rule; 0]);
    // The cast, which never ran; and more than there was.
    assert_eq!(hurried(0, not_run()), [&rules::SUMS]);
    assert_eq!(hurried(3, not_run()), [&rules::SUMS]);
    // Server 1 is up, and the caller got no answer.
    assert_eq!(hurried(2, Outcome::TimedOut), [&rules::ANSWERED]);
}
