//! Generated programs, whose histories must satisfy every rule.
//!
//! A program is generated and shrunk by proptest, played on a bus of the driver with many operations in
//! flight, and its history is checked against a model that has no clock and no bus. A failure is reported
//! with the rule, the message and the smallest program that fails, as one line of JSON. Its seed generates
//! it again, and a file with that line replays it:
//!
//! ```text
//! cargo test --test programs -- rpc --programs 1 --seed 30097
//! OSLO_TEST_REPLAY=program.json cargo test --test programs
//! ```
//!
//! There are three kinds, each with a strategy and rules of its own:
//! - `rpc` starts, stops and kills servers during calls, casts and fanouts. Its senders and servers are actors that
//!   take commands as lines of JSON, so that an actor may be a foreign process.
//! - `notify` starts, stops and drops listeners while events are sent, handled in batches, requeued, retried
//!   and given up.
//! - `delivery` uses the driver interface alone: every kind of address, settlement, expiry, pools.
//!
//! Where the harness can [cut](crate::Disturbance::Cut), some programs lose every connection in the middle.
//!
//! The servers and senders of a program of RPC, and the listeners and notifiers of one of notifications, are played by
//! this library, or by [`Foreign`] processes of another implementation that the harness offers, or by both, mixed as
//! the program's seed says: `--actors rust|python|mixed`.
//!
//! The rules are under test themselves: [`prove`] puts every flaw into the driver, and each must break its rule.
//! [`differential()`] runs the same programs on two drivers and compares what they determine.

mod actors;
mod acts;
mod any_program;
mod delivery;
mod determined;
pub mod differential;
mod divergence;
mod explore;
mod flaws;
mod json;
mod notify;
mod options;
mod plan;
mod progress;
mod report;
mod rpc;
mod rule;

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use crate::console::print_error;
pub use crate::foreign::Foreign;
use crate::report::write;
use crate::runner::ignored;
use crate::{Failed, Harness};
pub use actors::Actors;
use any_program::AnyProgram;
pub use differential::differential;
pub use divergence::Divergence;
pub(crate) use explore::{Generated, Perils};
use explore::{Search, explore, perform, perils, shrinking};
pub use flaws::prove;
use options::Overrides;
pub use options::{ACTORS, Options, PROGRAMS, REPLAY, SEED};
pub use plan::Plan;
pub use report::Report;
pub use rule::{Rule, Violation};

/// Runs programs of each kind, until one breaks a rule.
/// [`REPORT`](crate::report::REPORT) says where a record of each kind is written.
pub fn run<H: Harness>(make: impl Fn() -> H, options: &Options) -> [Report; 3] {
    [
        run_kind::<rpc::Program, H>(&make, options),
        run_kind::<notify::Program, H>(&make, options),
        run_kind::<delivery::Program, H>(&make, options),
    ]
}

/// The `main` of a driver's test of programs: one trial for each kind of program, and for each kind of
/// actors. `plan` says how many programs each runs unless the environment or the command line says
/// otherwise; `make` makes a harness for each program.
pub fn main<H: Harness>(make: impl Fn() -> H + Send + Sync + 'static, plan: impl Into<Plan>) -> ExitCode {
    let plan = plan.into();
    with_overrides(|overrides, arguments| {
        if let Some(file) = overrides.replay.clone() {
            let name = format!("replay::{}", file.display());
            let replayed = move || replay(make(), &fs::read_to_string(file)?).map_err(Failed::of_trial);
            let trial = Trial::test(name, replayed);
            return libtest_mimic::run(arguments, vec![trial]).exit_code();
        }
        let mut arguments = arguments.clone();
        arguments.test_threads = plan.threads().or(arguments.test_threads);
        libtest_mimic::run(&arguments, plan.trials(overrides, &Arc::new(make))).exit_code()
    })
}

/// Runs one program, given as the JSON that a report prints: how a fixed failure is kept as a regression test.
/// Violations that a divergence excuses do not count.
///
/// # Errors
/// The JSON is no program, or the program broke a rule; the message says which, and how.
pub fn replay(harness: impl Harness, json: &str) -> Result<(), Failed> {
    let performed = match serde_json::from_str(json)? {
        AnyProgram::Rpc(program) => perform(&program, harness),
        AnyProgram::Notify(program) => perform(&program, harness),
        AnyProgram::Delivery(program) => perform(&program, harness),
    };
    let broken: Vec<String> = performed.violations.iter().map(ToString::to_string).collect();
    if broken.is_empty() { Ok(()) } else { Err(broken.join("\n").into()) }
}

/// The `main` of a driver's test of programs on a machine without its bus: every trial is ignored with `reason`. Where
/// `CI` is `true` or `OSLO_TEST_REQUIRE_LIVE` is `1` that is a failure, since nothing may be skipped there.
#[must_use]
pub fn ignore_all(plan: impl Into<Plan>, reason: &str) -> ExitCode {
    let plan = plan.into();
    with_overrides(|overrides, arguments| {
        plan.left_out(overrides, reason);
        ignored(arguments, plan.ids(overrides), reason)
    })
}

/// A wrong option is printed to standard error and fails the test.
fn with_overrides(run: impl FnOnce(&Overrides, &Arguments) -> ExitCode) -> ExitCode {
    match Overrides::from_environment() {
        Ok((overrides, rest)) => run(&overrides, &Arguments::from_iter(rest)),
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Each program gets a harness of its own from `make`.
fn run_kind<P: Generated, H: Harness>(make: &dyn Fn() -> H, options: &Options) -> Report {
    let (check, shrinking) = (|program: &P| perform(program, make()), shrinking(make().clock()));
    let programs = P::strategy(perils(&make(), options.actors));
    let search = Search { programs, check: &check, shrinking, name: Some(P::NAME.to_owned()) };
    let report = Report::rules::<P>(*options, explore(&search, *options));
    write(&report.record(make().driver()));
    report
}
