//! Mixed traffic for as long as one likes, while connections are cut and the node is killed, frozen and alarmed.
//!
//! `cargo xtask soak` says how long, by the environment; the history of the run is a file, and the rules are held against
//! that. Among the other tests it is a short run, with one fault of each kind, on a node of its own.

#![allow(clippy::print_stdout, reason = "a report belongs on standard output")]

mod client;
mod gauge;
mod history;
mod nemesis;
mod party;
mod plan;
mod progress;
mod report;
mod rules;
mod run;
mod servers;
mod tally;
mod usage;
mod workers;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Trial};
use tokio::runtime::{Builder, Runtime};
use xtask::broker::{RABBIT_URL, REQUIRE_LIVE};

use history::History;
use plan::{Plan, Task};
use report::Report;
use testkit::workload::journal;

/// One case that needs neither a network nor a clock.
type Pure = (&'static str, fn());

macro_rules! pure {
    ($($module:ident: $($case:ident),+ $(,)?;)+) => {
        [$($((concat!(stringify!($module), "::", stringify!($case)), $module::tests::$case as fn())),+),+]
    };
}

const PURE: &[Pure] = &pure! {
    gauge:
        a_number_is_read_from_the_status_of_a_process;
    journal:
        what_is_written_is_read_again,
        a_line_that_was_torn_is_named;
    tally:
        whatever_touches_a_fault_is_counted_with_it_and_the_rest_outside,
        who_sent_to_nobody_succeeds_by_being_told;
    report:
        a_run_in_which_everything_is_as_it_should_be_is_well,
        a_library_whose_every_call_times_out_is_not_well;
    rules:
        what_is_sound_breaks_nothing,
        what_was_confirmed_and_is_nowhere_is_lost,
        what_ran_answers_if_there_was_time,
        what_is_said_not_to_have_happened_did_not,
        only_who_sent_to_nobody_is_told_so,
        everything_ends_and_in_time,
        a_second_run_is_marked_and_comes_of_a_loss_or_not_at_all,
        events_handled_twice_are_marked_and_few,
        what_one_sender_sends_to_one_server_starts_in_its_order,
        what_does_not_work_again_soon_is_told;
    usage:
        a_minute_is_judged_by_what_was_held_in_peace,
        what_grew_by_more_than_a_twentieth_is_told,
        nothing_is_compared_before_every_reader_had_what_it_remembers;
};

/// What a thread that did something blocking may idle: they are counted.
const IDLE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match Task::from_env() {
        Task::Trials => trials(),
        Task::Check(file) => told(check(&file)),
        Task::Soak(plan) => {
            eprintln!("soak: seed {}, into {}", plan.seed, plan.history.display());
            told(soak(&plan))
        }
    }
}

fn trials() -> ExitCode {
    let pure = PURE.iter().map(|&(name, case)| {
        Trial::test(name, move || {
            case();
            Ok(())
        })
    });
    let short = Trial::ignorable_test("every_guarantee_holds_in_a_short_soak", || {
        if std::env::var_os(RABBIT_URL).is_some() {
            let report = soak(&Plan::trial())?;
            return if report.is_well() { Ok(Completion::Completed) } else { Err(report.to_string().into()) };
        }
        for (variable, value) in [("CI", "true"), (REQUIRE_LIVE, "1")] {
            if std::env::var(variable).is_ok_and(|is| is == value) {
                return Err(format!("nothing may be skipped where {variable} is {value}").into());
            }
        }
        Ok(Completion::ignored_with("it needs RabbitMQ: run `cargo xtask test`"))
    });
    libtest_mimic::run(&Arguments::from_args(), pure.chain([short]).collect()).exit_code()
}

fn soak(plan: &Plan) -> Result<Report, String> {
    runtime().block_on(run::run(plan)).map_err(|error| format!("{}: {error}", plan.history.display()))?;
    check(&plan.history)
}

fn check(file: &Path) -> Result<Report, String> {
    let history = History::load(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(Report::on(&history))
}

fn told(report: Result<Report, String>) -> ExitCode {
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
