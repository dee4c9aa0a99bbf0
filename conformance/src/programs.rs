//! Generated programs, whose histories must satisfy every rule.
//!
//! A program is generated and shrunk by proptest, played on a bus of the driver with many operations in flight, and
//! its history is held against a model that has no clock and no bus. What fails is told with the rule, the message
//! and the smallest program that fails, as code; its seed plays it again.

pub mod delivery;
mod explore;
mod flaws;
mod options;
mod report;
pub mod rpc;
mod rule;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::Harness;
use crate::runner::{ignored, tell};
pub(crate) use explore::Generated;
pub use flaws::{caught_by, hunt, prove};
pub use options::{Options, PROGRAMS, SEED};
pub use report::Report;
pub use rule::{Rule, Violation};

/// Runs programs of each kind, until one breaks a rule.
pub fn run<H: Harness>(make: impl Fn() -> H, options: &Options) -> [Report; 2] {
    [run_kind::<rpc::Program, H>(&make, options), run_kind::<delivery::Program, H>(&make, options)]
}

/// The `main` of a driver's test of programs: one trial for each kind of program. `programs` says how many of each
/// kind run unless the environment or the command line says otherwise; `make` makes a harness for each.
pub fn main<H: Harness>(make: impl Fn() -> H + Send + Sync + 'static, programs: u64) -> ExitCode {
    let (options, rest) = match Options::from_environment(programs) {
        Ok(read) => read,
        Err(error) => {
            tell(&error);
            return ExitCode::FAILURE;
        }
    };
    let make = Arc::new(make);
    let trials = vec![trial::<rpc::Program, H>(&make, options), trial::<delivery::Program, H>(&make, options)];
    libtest_mimic::run(&Arguments::from_iter(rest), trials).exit_code()
}

/// The `main` of a driver's test of programs on a machine without its bus: every trial is ignored with `reason`. Where
/// `CI` is `true` or `OSLO_TEST_REQUIRE_LIVE` is `1` that is a failure, since nothing may be skipped there.
#[must_use]
pub fn ignore_all(reason: &str) -> ExitCode {
    match Options::from_environment(0) {
        Ok((_, rest)) => {
            ignored(&Arguments::from_iter(rest), vec![id::<rpc::Program>(), id::<delivery::Program>()], reason)
        }
        Err(error) => {
            tell(&error);
            ExitCode::FAILURE
        }
    }
}

fn id<P: Generated>() -> String {
    format!("programs::{}", P::NAME)
}

fn trial<P: Generated, H: Harness>(make: &Arc<impl Fn() -> H + Send + Sync + 'static>, options: Options) -> Trial {
    let make = Arc::clone(make);
    Trial::test(id::<P>(), move || {
        let report = run_kind::<P, H>(&*make, &options);
        if report.held() {
            tell(&report.to_string());
            return Ok(());
        }
        Err(Failed::from(report.to_string()))
    })
}

fn run_kind<P: Generated, H: Harness>(make: &dyn Fn() -> H, options: &Options) -> Report {
    Report::new::<P>(*options, explore::explore::<P, H>(make, *options, explore::Search::Smallest))
}
