//! Generated programs, whose histories must satisfy every rule.
//!
//! A program is generated and shrunk by proptest, played on a bus of the driver with many operations in flight, and
//! its history is held against a model that has no clock and no bus. What fails is told with the rule, the message
//! and the smallest program that fails, as code; its seed plays it again:
//!
//! ```text
//! cargo test --test programs -- rpc --programs 1 --seed 30097
//! ```
//!
//! There are three kinds. [`rpc`] starts, stops and kills servers under calls, casts and fanouts; its senders and
//! servers are actors that are asked by lines of JSON, so that one of them may be a foreign process. [`notify`]
//! starts, stops and drops listeners under events that are handled in batches, given back, tried again and given up. Where
//! the harness can [cut](crate::Disturbance::Cut), every connection is lost in the middle of some programs of these two.
//! [`delivery`] stands on the driver interface alone: every kind of address, settlement, expiry, pools. All are Rust that
//! can be pasted and run as a test:
//!
//! ```no_run
//! use oslo_messaging_conformance::programs::rpc::{Act, Program, Request, Server};
//! # use oslo_messaging_conformance::{Budget, Harness, async_trait};
//! # struct MyBus;
//! # #[async_trait]
//! # impl Harness for MyBus {
//! #     async fn transport(&self) -> oslo_messaging::Result<std::sync::Arc<dyn oslo_messaging::Transport>> {
//! #         unimplemented!()
//! #     }
//! #     fn budget(&self) -> Budget {
//! #         Budget::default()
//! #     }
//! # }
//!
//! let program = Program::new()
//!     .server(Server::new("t", "a").interface("1.0"))
//!     .act(Act::new().start(0))
//!     .act(Act::new().send(0, Request::cast("t").times(5)).send(1, Request::call("t")).stop(0));
//! program.hold(MyBus).expect("every rule holds");
//! ```
//!
//! The servers and senders of a program of RPC, and the listeners and notifiers of one of notifications, are played by this
//! library, or by [`Foreign`] processes of another implementation that the harness offers, or by both, mixed as the program's
//! seed says: `--actors rust|python|mixed`.
//!
//! The rules are under test themselves: [`prove`] puts every flaw into the driver, and each must break its rule.
//! [`differential()`] runs the same programs on two drivers and compares what they determine.

mod actors;
mod cuts;
pub mod delivery;
pub mod differential;
mod divergence;
mod explore;
mod flaws;
mod foreign;
pub mod notify;
mod options;
mod plan;
mod progress;
mod report;
pub mod rpc;
mod rule;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::Arguments;

use crate::Harness;
use crate::report::write;
use crate::runner::{ignored, tell};
pub use actors::Actors;
pub use differential::differential;
pub use divergence::Divergence;
pub(crate) use explore::{Generated, Perils};
use explore::{Quest, explore, perform, perils, shrinking};
pub use flaws::{caught_by, hunt, prove};
pub use foreign::Foreign;
use options::Wishes;
pub use options::{ACTORS, Options, PROGRAMS, SEED};
pub use plan::Plan;
pub use report::Report;
pub use rule::{Rule, Violation};

/// Runs programs of each kind, until one breaks a rule, and writes how that ended where
/// [`REPORT`](crate::report::REPORT) says.
pub fn run<H: Harness>(make: impl Fn() -> H, options: &Options) -> [Report; 3] {
    [
        run_kind::<rpc::Program, H>(&make, options),
        run_kind::<notify::Program, H>(&make, options),
        run_kind::<delivery::Program, H>(&make, options),
    ]
}

/// The `main` of a driver's test of programs: one trial for each kind of program, and for each kind of actors. `plan`
/// says how many programs each runs unless the environment or the command line says otherwise; `make` makes a harness
/// for each program.
pub fn main<H: Harness>(make: impl Fn() -> H + Send + Sync + 'static, plan: impl Into<Plan>) -> ExitCode {
    let plan = plan.into();
    wished(|wishes, arguments| {
        let mut arguments = arguments.clone();
        arguments.test_threads = plan.threads().or(arguments.test_threads);
        libtest_mimic::run(&arguments, plan.trials(wishes, &Arc::new(make))).exit_code()
    })
}

/// The `main` of a driver's test of programs on a machine without its bus: every trial is ignored with `reason`. Where
/// `CI` is `true` or `OSLO_TEST_REQUIRE_LIVE` is `1` that is a failure, since nothing may be skipped there.
#[must_use]
pub fn ignore_all(plan: impl Into<Plan>, reason: &str) -> ExitCode {
    let plan = plan.into();
    wished(|wishes, arguments| {
        plan.left_out(wishes, reason);
        ignored(arguments, plan.ids(wishes), reason)
    })
}

fn wished(run: impl FnOnce(&Wishes, &Arguments) -> ExitCode) -> ExitCode {
    match Wishes::from_environment() {
        Ok((wishes, rest)) => run(&wishes, &Arguments::from_iter(rest)),
        Err(error) => {
            tell(&error);
            ExitCode::FAILURE
        }
    }
}

fn run_kind<P: Generated, H: Harness>(make: &dyn Fn() -> H, options: &Options) -> Report {
    let (check, shrinking) = (|program: &P| perform(program, make()), shrinking(make().clock()));
    let programs = P::strategy(perils(&make(), options.actors));
    let quest = Quest { programs, check: &check, shrinking, name: Some(P::NAME.to_owned()) };
    let report = Report::rules::<P>(*options, explore(&quest, *options));
    write(&report.record(make().driver()));
    report
}
