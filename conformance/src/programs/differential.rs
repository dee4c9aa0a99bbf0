//! The same programs on two drivers: what a program determines must be the same on both.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use proptest::strategy::Strategy;
use tokio::time::timeout;

use super::determined::{Determined, Outcomes};
use super::explore::{Perils, Search, explore, shrinking};
use super::{Generated, Options, Report, Rule, Violation, delivery, notify, rpc};
use crate::console::print_error;
use crate::report::write;
use crate::runner::ignored;
use crate::{Failed, Harness, Stage, runner};

/// Broken once for each observation that differs.
static SAME: Rule = Rule {
    id: "differential::what_a_program_determines_is_the_same",
    requires: &[],
    says: "A program gives the same on both drivers, as far as it determines what it gives.",
};

/// Runs programs of each kind on the drivers of `make` and `other`, until one gives something else there. The
/// report has the smallest program that differs.
///
/// Programs are made to determine what they give: no server is killed, no listener dropped, no request given up and
/// nothing expires; servers and listeners start and stop while nothing is under way, and every act, or every step of a
/// program of delivery, ends when all that must run or arrive has.
///
/// These must be the same on both drivers:
/// - of a request, how it ended: returned its own answer, raised its own failure, the class of another one,
///   undeliverable, timed out; a call times out only where no server could answer;
/// - of a call or a cast, how often it ran, whether as a redelivered one, and that it ran at servers that read its
///   queue; of a fanout, at which servers it ran;
/// - of an event, whether it was sent; for each queue, what its readers made of it in each try, as new or again, and
///   whether it is there at the end or became a dead letter, after how many tries;
/// - of a publish, whether it succeeded or which kind of error it was; of a message, each queue that handed it over,
///   how often, unchanged or not, and as new or again: a quarter of the messages is requeued once, and a quarter is
///   dropped unsettled once;
/// - whether servers and readers start, stop, end and close.
///
/// These may differ:
/// - which of several servers or readers of one queue takes a message;
/// - how a request ends, and whether it runs, if that decides it, since these servers have other versions,
///   namespaces or methods;
/// - whether a call that timed out ran nevertheless;
/// - how often a queue hands a message over if some of its readers settle themselves and others need not;
/// - what becomes of an event if that depends on the listener that takes it: the readers of its queue want other
///   events, or give up after other numbers of tries; there are no batches, whose events share their end;
/// - order between requests or messages, and the words of an error. Rules hold each driver to those.
pub fn differential<A: Harness, B: Harness>(
    make: impl Fn() -> A,
    other: impl Fn() -> B,
    options: &Options,
) -> [Report; 3] {
    [
        kind::<rpc::Program, A, B>(&make, &other, options),
        kind::<notify::Program, A, B>(&make, &other, options),
        kind::<delivery::Program, A, B>(&make, &other, options),
    ]
}

/// The `main` of a test that compares two drivers: one trial for each kind of program. `programs` says how many of each
/// kind run unless the environment or the command line says otherwise.
///
/// [`REPORT`](crate::report::REPORT) says where a record of each trial is written.
pub fn main<A: Harness, B: Harness>(
    make: impl Fn() -> A + Send + Sync + 'static,
    other: impl Fn() -> B + Send + Sync + 'static,
    programs: u64,
) -> ExitCode {
    let (options, rest) = match Options::from_environment(programs) {
        Ok(read) => read,
        Err(error) => {
            print_error(&error);
            return ExitCode::FAILURE;
        }
    };
    let both = (Arc::new(make), Arc::new(other));
    let trials = vec![
        trial::<rpc::Program, _, _, A, B>(&both, options),
        trial::<notify::Program, _, _, A, B>(&both, options),
        trial::<delivery::Program, _, _, A, B>(&both, options),
    ];
    libtest_mimic::run(&Arguments::from_iter(rest), trials).exit_code()
}

/// The `main` of a test that compares two drivers, on a machine without the bus of one: every
/// trial is ignored with `reason`. Where `CI` is `true` or `OSLO_TEST_REQUIRE_LIVE` is `1` that is
/// a failure, since nothing may be skipped there.
#[must_use]
pub fn ignore_all(reason: &str) -> ExitCode {
    match Options::from_environment(0) {
        Ok((_, rest)) => {
            let ids = vec![id::<rpc::Program>(), id::<notify::Program>(), id::<delivery::Program>()];
            ignored(&Arguments::from_iter(rest), ids, reason)
        }
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Makes new harnesses of both drivers for each program, and writes a record when it ends.
fn trial<P, M, O, A, B>((make, other): &(Arc<M>, Arc<O>), options: Options) -> Trial
where
    P: Determined,
    M: Fn() -> A + Send + Sync + 'static,
    O: Fn() -> B + Send + Sync + 'static,
    A: Harness,
    B: Harness,
{
    let (make, other) = (Arc::clone(make), Arc::clone(other));
    Trial::test(id::<P>(), move || {
        let report = kind::<P, A, B>(&*make, &*other, &options);
        write(&report.record(make().driver()));
        report.print().map_err(Failed::of_trial)
    })
}

fn id<P: Generated>() -> String {
    format!("differential::{}", P::NAME)
}

/// Explores programs of one kind until one differs.
/// Proptest may spend 300 runs on shrinking, and the removal of parts as many again.
fn kind<P: Determined, A: Harness, B: Harness>(
    make: &dyn Fn() -> A,
    other: &dyn Fn() -> B,
    options: &Options,
) -> Report {
    let (name, other_name) = (make().driver(), other().driver());
    let check = |program: &P| {
        // A shrunk program may no longer be determined.
        let program = program.clone().determined();
        let (here, there) = (outcomes(&program, make()), outcomes(&program, other()));
        differences([&name, &other_name], [&here, &there]).into()
    };
    // A run plays the program twice, and waits where the rules need not.
    let shrinking = shrinking(make().clock()).min(shrinking(other().clock())).min(300);
    let programs = P::strategy(Perils::default()).prop_map(P::determined).boxed();
    let search = Search { programs, check: &check, shrinking, name: Some(format!("{} on both", P::NAME)) };
    Report::compared::<P>(&other_name, *options, explore(&search, *options))
}

/// Runs a program on a driver, on its own runtime and stage.
/// A failed or hanging program is an observation too. It is no difference if both drivers give the same one.
fn outcomes<P: Determined>(program: &P, harness: impl Harness) -> Outcomes {
    let (runtime, limit) = (runner::runtime(harness.clock()), runner::limit(harness.clock()));
    runtime.block_on(async {
        let stage = Stage::new(harness);
        let mut outcomes = match timeout(limit, program.outcomes(&stage)).await {
            Ok(Ok(outcomes)) => outcomes,
            Ok(Err(failed)) => observed("the program", failed.message()),
            Err(_) => observed("the program", &format!("did not end within {limit:?}")),
        };
        if let Err(failed) = stage.close().await {
            outcomes.extend(observed("what was opened", failed.message()));
        }
        outcomes
    })
}

/// One observation, named by `what`.
fn observed(what: &str, how: &str) -> Outcomes {
    Outcomes::from([(what.to_owned(), how.to_owned())])
}

/// One violation for each observation that differs, or that only one driver has.
fn differences(drivers: [&str; 2], outcomes: [&Outcomes; 2]) -> Vec<Violation> {
    let all: BTreeSet<&String> = outcomes.iter().flat_map(|outcomes| outcomes.keys()).collect();
    let results = |what: &String| outcomes.map(|outcomes| outcomes.get(what).map_or("nothing", String::as_str));
    let differing = all.into_iter().map(|what| (what, results(what))).filter(|(_, [here, there])| here != there);
    let violation = |(what, [here, there]): (&String, [&str; 2])| {
        Violation::new(&SAME, format_args!("{what}: '{here}' on {}, '{there}' on {}", drivers[0], drivers[1]))
    };
    differing.map(violation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_of_one_driver_is_a_difference_too() {
        let both = observed("a", "done");
        let mut here = observed("b", "done");
        here.extend(both.clone());
        assert_eq!(differences(["x", "y"], [&both, &both]), []);
        let differences = differences(["x", "y"], [&here, &both]);
        assert_eq!(differences[0].how, "b: 'done' on x, 'nothing' on y");
        assert_eq!(differences.len(), 1);
    }
}
