//! The repository's tasks: `cargo xtask lint | api | test | report | conformance | matrix | fuzz | soak | bench |
//! broker`.
#![allow(clippy::print_stdout, reason = "a command's result belongs on standard output")]

mod task;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::broker::Release;
use xtask::process::interrupt::Interrupt;

use task::test::Broker;
use task::{api, bench, conformance, fuzz, lint, matrix, report, serve, soak, test};

/// Tasks of this repository.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Checks formatting, lints, documentation, layout, the public API, the least Rust release, packaging and dependencies.
    Lint,
    /// Compares the public API of the published crates with docs/api, as `lint` does.
    Api(api::Api),
    /// Runs every test, the live ones on a private RabbitMQ node.
    Test {
        /// Runs without a node and skips the live tests. Refused where CI is set.
        #[arg(long)]
        no_broker: bool,
        /// Runs everything on this release (3.10, 4.0, 4.3 or 4.3-denied) instead of the one that is installed.
        #[arg(long, value_name = "RELEASE", conflicts_with = "no_broker")]
        broker: Option<Release>,
        /// Arguments for `cargo test`, such as `-p oslo-messaging-amqp --test live`. With any, `test` does not check that all
        /// live suites ran.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs generated programs of servers, calls and casts, played by this library, by the reference in Python, or by both,
    /// and checks the rules on the results.
    Conformance(conformance::Programs),
    /// Runs every case of the conformance suite on every release of RabbitMQ, in every profile of options. Takes root, and
    /// half an hour.
    Matrix(matrix::Matrix),
    /// Sends calls, casts and events while connections are cut and the node is killed, frozen and alarmed, and checks the
    /// rules on the results.
    Soak(soak::Soak),
    /// Measures this library beside other programs that do the same work, in turns, and compares with the targets.
    Bench(bench::Bench),
    /// Writes the report page and the table of the last `test` again, from its records.
    Report {
        /// Puts the table into docs/testing.md too; refused unless every test ran and held.
        #[arg(long)]
        docs: bool,
    },
    /// Fuzzes the readers of messages, frames, URLs and configuration files. Needs a nightly toolchain and cargo-fuzz.
    Fuzz(fuzz::Fuzzing),
    /// Starts a RabbitMQ node, prints how to reach it, and removes it on Ctrl-C or at the end of standard input.
    Broker {
        /// Leaves the node's directory, with its data and its log, behind.
        #[arg(long)]
        keep: bool,
        /// The release (3.10, 4.0, 4.3 or 4.3-denied), by default the installed one. A release that is not installed is made
        /// under `target/brokers` in a minute.
        #[arg(long, value_name = "RELEASE")]
        version: Option<Release>,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse().task) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The status that says whether the task found everything in order.
fn run(task: &Task) -> Result<ExitCode> {
    let interrupt = Interrupt::install()?;
    let in_order = match task {
        Task::Bench(bench) => return bench::run(bench, &interrupt),
        Task::Lint => lint::run(&interrupt),
        Task::Api(api) => api::run(api, &interrupt),
        Task::Test { no_broker, broker, arguments } => {
            let kind = if *no_broker { Broker::None } else { Broker::Of(*broker) };
            test::run(kind, arguments, &interrupt)
        }
        Task::Conformance(programs) => conformance::run(programs, &interrupt),
        Task::Matrix(matrix) => matrix::run(matrix, &interrupt),
        Task::Fuzz(fuzzing) => fuzz::run(fuzzing, &interrupt),
        Task::Soak(soak) => soak::run(soak, &interrupt),
        Task::Report { docs } => report::run(*docs),
        Task::Broker { keep, version } => serve::run(*version, *keep, &interrupt).map(|()| true),
    };
    Ok(if in_order? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
