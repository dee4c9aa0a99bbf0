//! A cluster of three nodes, whose members are killed, cut off and restarted while two workloads use replicated queues, each
//! over one URL with all three hosts.
//!
//! The verdict is tested without nodes; the other cases need what `cargo xtask test` provides, and start their own nodes.

mod cluster_workload;
mod damage;
mod verdict;

use std::process::ExitCode;
use std::time::Duration;

use futures_util::future::BoxFuture;
use libtest_mimic::{Arguments, Completion, Trial};
use testkit::case::{PureCase, if_live, pure};
use testkit::{pure_cases, stage};
use xtask::broker::Release;

/// Far over what a scenario needs beyond the time in which members are hurt: half a minute, on an idle machine.
const LIMIT: Duration = Duration::from_secs(400);

/// What a case needs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// Members that pause where they are cut off.
    Pauses,
    /// More than the usual time: members take so long to stop that not each would have its turn.
    Time,
}

/// A name, what the case needs, and its body.
type ClusterCase = (&'static str, Needs, fn() -> BoxFuture<'static, ()>);

const CASES: &[ClusterCase] = &[
    ("nothing_confirmed_is_lost_while_leaders_are_killed", Needs::Nothing, || Box::pin(damage::leaders_are_killed())),
    ("nothing_confirmed_is_lost_while_leaders_are_cut_off", Needs::Pauses, || Box::pin(damage::leaders_are_cut_off())),
    (
        "nothing_confirmed_is_lost_while_members_are_restarted",
        Needs::Time,
        || Box::pin(damage::members_are_restarted()),
    ),
];

/// The judgement by itself, which needs no nodes.
const PURE: &[PureCase] = &pure_cases! {
    verdict:
        enough_is_enough,
        what_fails_within_a_window_may,
        a_library_whose_every_call_times_out_does_not_pass,
        a_library_that_ends_everything_with_a_timeout_falls_short_of_every_minimum,
        a_library_that_hardly_calls_outside_faults_does_not_pass;
};

fn main() -> ExitCode {
    let trials = CASES.iter().map(trial);
    let conclusion = libtest_mimic::run(&Arguments::from_args(), PURE.iter().map(pure).chain(trials).collect());
    damage::stop();
    conclusion.exit_code()
}

/// One trial, ignored where it cannot show anything.
fn trial(&(name, needs, case): &ClusterCase) -> Trial {
    Trial::ignorable_test(name, move || {
        if needs == Needs::Time && !damage::is_long() {
            return Ok(Completion::ignored_with("it takes a longer run; see docs/testing.md"));
        }
        if let Ok(Some(release)) = Release::from_env()
            && needs == Needs::Pauses
            && !release.pauses_minorities()
        {
            return Ok(Completion::ignored_with(format!("members that are cut off do not pause on {release}")));
        }
        if_live(|| {
            stage::run_alone_within(damage::duration() + LIMIT, case());
            Ok(())
        })
    })
}
