//! Mixed traffic while connections are cut and the node is killed, frozen and alarmed.
//!
//! `cargo xtask soak` sets the duration in the environment. The history of the run is a file, on which the rules are checked.
//! Among the other tests it is a short run, with one fault of each kind, on a node of its own.

#![allow(clippy::print_stdout, reason = "a report belongs on standard output")]

mod client;
mod gauge;
mod nemesis;
mod party;
mod plan;
mod progress;
mod report;
mod run;
mod tally;
mod usage;
mod workers;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use tokio::runtime::{Builder, Runtime};

use plan::{Plan, Task};
use report::Report;
use testkit::case::{PureCase, if_live, pure};
use testkit::pure_cases;
use testkit::workload::history::History;

const PURE: &[PureCase] = &pure_cases! {
    gauge:
        a_number_is_read_from_the_status_of_a_process;
    tally:
        whatever_touches_a_fault_is_counted_with_it_and_the_rest_outside,
        an_undeliverable_cast_succeeds_by_being_reported;
    report:
        a_run_in_which_everything_is_as_it_should_be_is_well,
        a_library_whose_every_call_times_out_is_not_well;
    usage:
        a_minute_is_judged_by_what_was_held_without_a_fault,
        what_grew_by_more_than_a_twentieth_is_reported,
        memory_that_a_lost_connection_gave_back_may_come_again,
        nothing_is_compared_before_every_consumer_had_what_it_remembers;
};

/// How long a thread for blocking work may idle: threads are counted.
const IDLE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match Task::from_env() {
        Task::Trials => trials(),
        Task::Check(file) => exit_code(check(&file)),
        Task::Soak(plan) => {
            eprintln!("soak: seed {}, into {}", plan.seed, plan.history.display());
            exit_code(soak(&plan))
        }
    }
}

fn trials() -> ExitCode {
    let short = Trial::ignorable_test("every_guarantee_holds_in_a_short_soak", || {
        if_live(|| {
            let report = soak(&Plan::trial())?;
            if report.is_well() { Ok(()) } else { Err(report.to_string().into()) }
        })
    });
    libtest_mimic::run(&Arguments::from_args(), PURE.iter().map(pure).chain([short]).collect()).exit_code()
}

fn soak(plan: &Plan) -> Result<Report, String> {
    runtime().block_on(run::run(plan)).map_err(|error| format!("{}: {error}", plan.history.display()))?;
    check(&plan.history)
}

fn check(file: &Path) -> Result<Report, String> {
    let history = History::load(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(Report::on(&history))
}

fn exit_code(report: Result<Report, String>) -> ExitCode {
    match report {
        Ok(report) => {
            println!("{report}");
            if report.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).thread_keep_alive(IDLE).enable_all().build().expect("a runtime")
}
