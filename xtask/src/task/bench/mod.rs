//! `cargo xtask bench`: this library beside other programs that do the same work on the same broker, in turns.

mod busy;
mod plan;
mod report;
mod run;
mod statistics;
mod table;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use xtask::process::interrupt::Interrupt;
use xtask::workspace_root;

use busy::Load;
use report::recorded::Recorded;
use report::{Report, document};
use run::samples::Samples;
use run::session::Session;
use table::finding::Finding;

/// Where results go, from the root of the workspace.
const DIRECTORY: &str = "target/bench";

/// The status of a command that could not give a verdict (`EX_TEMPFAIL`).
const TOO_BUSY: u8 = 75;

/// What is measured, and how long.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
pub(crate) struct Bench {
    /// Fewer rows, shorter runs and three rounds: under five minutes once everything is built.
    #[arg(long)]
    quick: bool,
    /// Only this group of rows; may be given several times.
    #[arg(long = "only", value_enum, value_name = "GROUP")]
    groups: Vec<Group>,
    /// How often each program runs; by default 5, with `--quick` 3.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Measures every row twice, and fails if in both runs every pair is below 0.85 of the recorded ratio.
    #[arg(long, conflicts_with_all = ["record", "docs", "groups", "quick"])]
    check: bool,
    /// Records the ratios in benches/recorded.json, for `--check`.
    #[arg(long)]
    record: bool,
    /// Puts the table and the plots into docs/performance.md.
    #[arg(long)]
    docs: bool,
}

/// What belongs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// Calls over RabbitMQ, and their latency.
    Calls,
    /// Casts, fanouts and notifications.
    Casts,
    /// Clients and servers of which one is the reference in Python.
    Python,
    /// Calls on the in-memory broker.
    Fake,
    /// Instructions, allocations, bytes of futures and system calls.
    Counters,
    /// Ten thousand calls in flight.
    Memory,
    /// Cost against calls in flight, payload, servers, backlog and topics.
    Growth,
    /// The start of 500 servers.
    Start,
    /// The conformance suite on the in-memory broker.
    Conformance,
}

/// Measures, prints the table and writes the files. The status is 1 if `--check` found a regression, and 75 if the machine
/// was too busy for a verdict.
///
/// # Errors
/// When a program does not build, fails, or we are interrupted.
pub(crate) fn run(bench: &Bench, interrupt: &Interrupt) -> Result<ExitCode> {
    let load = Load::now()?;
    if bench.check
        && let Some(reason) = load.too_busy()
    {
        println!("bench: no verdict: {reason}");
        return Ok(ExitCode::from(TOO_BUSY));
    }
    fs::create_dir_all(directory()).with_context(|| format!("could not make {}", directory().display()))?;
    let mut session = Session::prepare(bench, interrupt)?;
    if bench.check {
        let recorded = Recorded::read()?;
        let runs = [findings(&session.measure()?, &load), findings(&session.measure()?, &load)];
        return Ok(recorded.check(&runs).report());
    }
    let samples = session.measure()?;
    let report = Report {
        load,
        broker: session.broker(),
        quick: bench.quick,
        partial: !bench.groups.is_empty(),
        findings: findings(&samples, &load),
        left_out: samples.left_out().to_vec(),
    };
    report.write(&samples)?;
    print!("{}", report.markdown());
    println!("bench: {DIRECTORY}/result.json, {DIRECTORY}/table.md and the plots beside them");
    if bench.record {
        Recorded::write(&report.findings)?;
    }
    if bench.docs {
        document::update(&report)?;
    }
    let refused = report.findings.iter().any(Finding::is_refused);
    Ok(if refused { ExitCode::from(TOO_BUSY) } else { ExitCode::SUCCESS })
}

/// What the rows of the table say of the samples; rows without a sample are left out.
fn findings(samples: &Samples, load: &Load) -> Vec<Finding> {
    table::all().iter().filter_map(|row| Finding::of(row, samples, load)).collect()
}

fn directory() -> PathBuf {
    workspace_root().join(DIRECTORY)
}
