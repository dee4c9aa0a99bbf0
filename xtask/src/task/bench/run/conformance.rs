//! The time of the cases of the conformance suite on the in-memory broker.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use oslo_messaging_conformance::report::{Part, REPORT, Records};
use xtask::process::command::run as run_command;
use xtask::process::interrupt::Interrupt;

use super::line::Line;
use super::samples::Sample;
use crate::task::bench::directory;
use crate::task::bench::plan::program::Program;
use crate::task::bench::statistics::Spread;
use crate::task::test::suite;

/// Runs the suite once and returns the median time of a case.
///
/// # Errors
/// When it does not build, a case fails, or we are interrupted.
pub(super) fn measure(interrupt: &Interrupt) -> Result<Sample> {
    let arguments = ["-p", "oslo-messaging-fake", "--test", "conformance"].map(str::to_owned);
    let suites = suite::build(&arguments, interrupt)?;
    let records = directory().join("conformance");
    if records.exists() {
        fs::remove_dir_all(&records).context("the records of the last run could not be removed")?;
    }
    for suite in &suites {
        let mut command = Command::new(&suite.executable);
        command.arg("--quiet").current_dir(&suite.directory).env(REPORT, &records);
        ensure!(run_command(&mut command, interrupt)?.success(), "a case of the conformance suite failed");
    }
    let records = Records::read(&records)?;
    let seconds: Vec<f64> = records.iter().filter_map(|record| cases(&record.part)).flatten().collect();
    let median = Spread::of(&seconds).context("the conformance suite ran no case")?.median;
    let figures = Line::of([("case_milliseconds", median * 1_000.0)]);
    Ok(Sample { experiment: "conformance", program: Program::Ours, at: 0, round: 0, figures })
}

fn cases(part: &Part) -> Option<Vec<f64>> {
    let Part::Cases(runs) = part else { return None };
    Some(runs.iter().map(|run| run.seconds).collect())
}
