mod cuts;
mod foreign;

use std::time::Duration;

use super::*;
use crate::programs::Rule;
use crate::programs::rpc::history::{Event, Outcome, Run};
use crate::programs::rpc::program::{FAILURE, Server, Step};
use crate::programs::rpc::request::{Method, Request};
use crate::programs::rpc::rules;

/// Writes a history by hand. Servers 0 and 1 share a topic; server 2 has another topic and a namespace.
struct Script(History);

impl Script {
    /// Only server 2 acknowledges after its answer.
    fn program() -> Program {
        Program::new()
            .server(Server::new("t", "a").interface("1.0"))
            .server(Server::new("t", "b").interface("1.0"))
            .server(Server::new("u", "c").interface_in("n", "2.0").at_least_once())
    }

    /// Returns the number of the step, which is also the number of the message that it sends.
    fn begin(&mut self, step: Step) -> usize {
        let number = self.0.steps.len();
        self.0.steps.push(step);
        self.0.events.push(Event::Begun(number));
        number
    }

    /// Every step takes no time, so only a test that writes the event itself can break `rules::IN_TIME`.
    fn end(&mut self, step: usize, outcome: Outcome) {
        self.0.events.push(Event::Ended { step, outcome, took: Duration::ZERO });
    }

    /// Begins and ends the step at once.
    fn done(&mut self, step: Step) {
        let number = self.begin(step);
        self.end(number, Outcome::Done);
    }

    /// Sends from sender 0 and leaves the send open.
    fn send(&mut self, request: Request) -> usize {
        self.begin(Step::Send { sender: 0, message: request })
    }

    /// Records a first delivery.
    fn ran(&mut self, server: usize, number: usize) {
        self.ran_as(server, number, false);
    }

    /// Records the method that the request asks for, and panics if the step sends nothing.
    fn ran_as(&mut self, server: usize, number: usize, redelivered: bool) {
        let Step::Send { message: request, .. } = &self.0.steps[number] else { panic!("only messages run") };
        let method = request.method.name().to_owned();
        self.0.events.push(Event::Ran(Run { server, number, method, redelivered }));
    }

    /// Returns after the bus has confirmed it. No server has run it yet.
    fn cast(&mut self, request: Request) -> usize {
        let number = self.send(request);
        self.end(number, Outcome::Done);
        number
    }

    /// The request runs at `server` before the call ends with `outcome`, which gets its number.
    fn call(&mut self, request: Request, server: usize, outcome: impl Fn(usize) -> Outcome) {
        let number = self.send(request);
        self.ran(server, number);
        self.end(number, outcome(number));
    }
}

/// The answer that the model expects of `server`.
fn returned(server: usize) -> impl Fn(usize) -> Outcome {
    move |number| Outcome::Returned { server, number }
}

/// The remote failure of a method or of the dispatch.
fn raised(class: &str, message: usize) -> Outcome {
    Outcome::Raised { class: class.to_owned(), message: message.to_string() }
}

/// The rules that a history breaks in which every server is up while `write` adds events.
fn broken(write: impl Fn(&mut Script)) -> Vec<&'static Rule> {
    let mut script = Script(History::default());
    (0..3).for_each(|server| script.done(Step::Start { actor: server }));
    write(&mut script);
    script.0.events.push(Event::Settled);
    (0..3).for_each(|server| script.done(Step::Stop { actor: server }));
    check(&Script::program(), &script.0, Budget::default()).into_iter().map(|violation| violation.rule).collect()
}

/// Holds the checks to their tolerance: each event here is right, although some look like faults.
#[test]
fn a_history_without_faults_breaks_no_rule() {
    let rules = broken(|script| {
        script.call(Request::call("t"), 1, returned(1));
        script.call(Request::call("t").server("a").method(Method::Fail), 0, |number| raised(FAILURE, number));
        let refused = script.send(Request::call("u").version("2.0"));
        script.end(refused, raised("UnsupportedVersion", 0));
        let missing = script.send(Request::call("t").method(Method::Missing));
        script.end(missing, raised("NoSuchMethod", 0));
        let unbound = script.send(Request::call("v"));
        script.end(unbound, Outcome::Undeliverable);
        let first = script.cast(Request::cast("t"));
        let second = script.cast(Request::cast("t"));
        // Two servers may overtake each other.
        script.ran(1, second);
        script.ran(0, first);
        let fanout = script.cast(Request::fanout("t"));
        script.ran(0, fanout);
        script.ran(1, fanout);
        script.cast(Request::cast("v"));
    });
    assert_eq!(rules, [] as [&Rule; 0]);
}

/// Each history is short and breaks its rule; other rules may be broken too.
#[test]
fn every_rule_of_routing_can_be_broken() {
    let broken = |rule: &'static Rule, write: fn(&mut Script)| assert!(broken(write).contains(&rule), "{}", rule.id);
    broken(&rules::CAST_RUNS, |script| {
        script.cast(Request::cast("t"));
    });
    broken(&rules::RUNS_ONCE, |script| {
        let cast = script.cast(Request::cast("t"));
        script.ran(0, cast);
        script.ran(1, cast);
    });
    broken(&rules::RUNS_ONCE, |script| {
        let fanout = script.cast(Request::fanout("u").namespace("n").version("2.0"));
        script.ran(2, fanout);
        script.ran(2, fanout);
    });
    broken(&rules::RUNS_AGAIN, |script| {
        let cast = script.cast(Request::cast("u").namespace("n").version("2.0"));
        script.ran(2, cast);
        script.done(Step::Kill { actor: 2 });
        script.done(Step::Start { actor: 2 });
    });
    broken(&rules::ENTITLED, |script| {
        let cast = script.cast(Request::cast("t").server("a"));
        script.ran(1, cast);
    });
    broken(&rules::DISPATCHED, |script| {
        let cast = script.cast(Request::cast("u").namespace("n").version("2.1"));
        script.ran(2, cast);
    });
    broken(&rules::DISPATCHED, |script| {
        let call = script.send(Request::call("t"));
        script.end(call, raised("UnsupportedVersion", 0));
    });
    broken(&rules::FANOUT_REACHES, |script| {
        let fanout = script.cast(Request::fanout("t"));
        script.ran(0, fanout);
    });
    broken(&rules::FANOUT_STAYS, |script| {
        script.done(Step::Stop { actor: 1 });
        let fanout = script.cast(Request::fanout("t"));
        script.ran(0, fanout);
        script.done(Step::Start { actor: 1 });
        script.ran(1, fanout);
    });
}

/// Covers answers of another request or server, missing ones, late ones, and returns where a queue was bound.
#[test]
fn every_rule_of_answers_can_be_broken() {
    let broken = |rule: &'static Rule, write: fn(&mut Script)| assert!(broken(write).contains(&rule), "{}", rule.id);
    broken(&rules::OWN_REPLY, |script| {
        script.call(Request::call("t"), 0, |_| Outcome::Returned { server: 0, number: 0 });
    });
    broken(&rules::OWN_REPLY, |script| script.call(Request::call("t"), 0, returned(1)));
    broken(&rules::OWN_REPLY, |script| {
        script.call(Request::call("t").method(Method::Fail), 0, |number| raised(FAILURE, number + 1));
    });
    broken(&rules::ANSWERED, |script| script.call(Request::call("t"), 0, |_| Outcome::TimedOut));
    broken(&rules::IN_TIME, |script| {
        let step = script.send(Request::call("t").impatient());
        script.0.events.push(Event::Ended { step, outcome: Outcome::TimedOut, took: Duration::from_secs(60) });
    });
    broken(&rules::SAYS_UNDELIVERABLE, |script| {
        let call = script.send(Request::call("v"));
        script.end(call, Outcome::TimedOut);
    });
    broken(&rules::ONLY_UNDELIVERABLE, |script| {
        let call = script.send(Request::call("t"));
        script.end(call, Outcome::Undeliverable);
    });
    broken(&rules::NEVER_RUNS, |script| script.call(Request::call("t"), 0, |_| Outcome::Undeliverable));
    broken(&rules::SUCCEEDS, |script| {
        let cast = script.send(Request::cast("v"));
        script.end(cast, Outcome::Undeliverable);
    });
}

/// Servers that a history stops are started again, since the common end stops all three.
#[test]
fn every_rule_of_order_and_lifecycle_can_be_broken() {
    let broken = |rule: &'static Rule, write: fn(&mut Script)| assert!(broken(write).contains(&rule), "{}", rule.id);
    broken(&rules::ORDER, |script| {
        let (first, second) = (script.cast(Request::cast("t")), script.cast(Request::cast("t")));
        script.ran(0, second);
        script.ran(0, first);
    });
    broken(&rules::MARK, |script| {
        let cast = script.cast(Request::cast("t"));
        script.ran_as(0, cast, true);
    });
    broken(&rules::STARTS, |script| {
        script.done(Step::Stop { actor: 0 });
        let start = script.begin(Step::Start { actor: 0 });
        script.end(start, Outcome::TimedOut);
    });
    broken(&rules::STOPS, |script| {
        let stop = script.begin(Step::Stop { actor: 0 });
        script.end(stop, Outcome::TimedOut);
        script.done(Step::Start { actor: 0 });
    });
    broken(&rules::NOTHING_LATER, |script| {
        let cast = script.cast(Request::cast("t"));
        script.done(Step::Stop { actor: 0 });
        script.ran(0, cast);
        script.done(Step::Start { actor: 0 });
    });
}

/// The stop requeues the first message behind the second one.
#[test]
fn a_message_that_a_stopped_server_had_may_come_late_and_marked() {
    let rules = broken(|script| {
        let (first, second) = (script.cast(Request::cast("t")), script.cast(Request::cast("t")));
        script.ran(1, second);
        script.done(Step::Stop { actor: 0 });
        script.ran_as(1, first, true);
        script.done(Step::Start { actor: 0 });
    });
    assert_eq!(rules, [] as [&Rule; 0]);
}

/// The cast was surely dropped, and the call perhaps, so the counter may be one or two.
#[test]
fn requests_dropped_by_a_hurried_stop_are_counted_and_answered() {
    let hurried = |dropped: u64, outcome: Outcome| {
        broken(|script| {
            script.cast(Request::cast("t"));
            let call = script.send(Request::call("t"));
            script.done(Step::Hurry { actor: 0 });
            script.end(call, outcome.clone());
            script.done(Step::Start { actor: 0 });
            script.0.events.push(Event::Dropped(dropped));
        })
    };
    let not_run = || Outcome::Raised { class: "RequestNotRun".to_owned(), message: String::new() };
    assert_eq!(hurried(1, not_run()), [] as [&Rule; 0]);
    assert_eq!(hurried(2, not_run()), [] as [&Rule; 0]);
    // The counter misses the cast, which never ran; or it counts more requests than there were.
    assert_eq!(hurried(0, not_run()), [&rules::SUMS]);
    assert_eq!(hurried(3, not_run()), [&rules::SUMS]);
    // Server 1 is up, and the caller got no answer.
    assert_eq!(hurried(2, Outcome::TimedOut), [&rules::ANSWERED]);
}
