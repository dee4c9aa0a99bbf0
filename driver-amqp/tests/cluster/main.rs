//! Three nodes that are one broker, whose members are killed, cut off and restarted while two pairs of servers, two listeners and
//! two clients are at work on replicated queues, each over one URL with all three hosts.
//!
//! The judgement is tried by itself; the rest needs what `cargo xtask test` provides, and starts nodes of its own.

mod cluster_workload;
mod damage;
mod verdict;

use std::process::ExitCode;
use std::time::Duration;

use futures_util::future::BoxFuture;
use libtest_mimic::{Arguments, Completion, Trial};
use xtask::broker::{RABBIT_URL, REQUIRE_LIVE, Release};

/// Far over what a scenario needs beyond the time in which members are hurt: half a minute, if nobody else wants the machine.
const LIMIT: Duration = Duration::from_secs(400);

/// What a case takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// Members that pause where they are cut off.
    Pauses,
    /// More than the usual time: members take so long to stop that not each would have its turn.
    Time,
}

/// A sentence, what it takes, and how it is tried.
type Case = (&'static str, Needs, fn() -> BoxFuture<'static, ()>);

const CASES: &[Case] = &[
    ("nothing_confirmed_is_lost_while_leaders_are_killed", Needs::Nothing, || Box::pin(damage::leaders_are_killed())),
    ("nothing_confirmed_is_lost_while_leaders_are_cut_off", Needs::Pauses, || Box::pin(damage::leaders_are_cut_off())),
    (
        "nothing_confirmed_is_lost_while_members_are_restarted",
        Needs::Time,
        || Box::pin(damage::members_are_restarted()),
    ),
];

/// The judgement by itself, which needs no nodes.
const PURE: &[(&str, fn())] = &[
    ("verdict::enough_is_enough", verdict::tests::enough_is_enough),
    ("verdict::what_fails_within_a_window_may", verdict::tests::what_fails_within_a_window_may),
    (
        "verdict::a_library_whose_every_call_times_out_does_not_pass",
        verdict::tests::a_library_whose_every_call_times_out_does_not_pass,
    ),
    (
        "verdict::a_library_that_ends_everything_with_a_timeout_falls_short_of_every_minimum",
        verdict::tests::a_library_that_ends_everything_with_a_timeout_falls_short_of_every_minimum,
    ),
    (
        "verdict::who_calls_hardly_ever_outside_faults_does_not_pass",
        verdict::tests::who_calls_hardly_ever_outside_faults_does_not_pass,
    ),
];

fn main() -> ExitCode {
    let pure = PURE.iter().map(|&(name, case)| {
        Trial::test(name, move || {
            case();
            Ok(())
        })
    });
    let trials = CASES.iter().map(|&(name, needs, case)| {
        trial(name, needs, move || testkit::stage::run_alone_within(damage::lasting() + LIMIT, case()))
    });
    let conclusion = libtest_mimic::run(&Arguments::from_args(), pure.chain(trials).collect());
    damage::stop();
    conclusion.exit_code()
}

/// One trial, ignored without a broker; where nothing may be skipped, it fails instead.
fn trial(name: &str, needs: Needs, run: impl FnOnce() + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || {
        if needs == Needs::Time && !damage::is_long() {
            return Ok(Completion::ignored_with("it takes a longer run, as CONTRIBUTING.md tells"));
        }
        if let Ok(Some(release)) = Release::from_env()
            && needs == Needs::Pauses
            && !release.pauses_minorities()
        {
            return Ok(Completion::ignored_with(format!("members that are cut off do not pause on {release}")));
        }
        if std::env::var_os(RABBIT_URL).is_some() {
            run();
            return Ok(Completion::Completed);
        }
        for (variable, value) in [("CI", "true"), (REQUIRE_LIVE, "1")] {
            if std::env::var(variable).is_ok_and(|is| is == value) {
                return Err(format!("nothing may be skipped where {variable} is {value}").into());
            }
        }
        Ok(Completion::ignored_with("it needs RabbitMQ: run `cargo xtask test`"))
    })
}
