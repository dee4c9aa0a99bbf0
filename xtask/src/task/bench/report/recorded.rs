//! The figures that later runs are held to.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use xtask::workspace_root;

use crate::task::bench::TOO_BUSY;
use crate::task::bench::table::finding::{Finding, Verdict};

/// Where they are, from the root of the workspace.
const FILE: &str = "benches/recorded.json";

/// The share of a recorded figure that a run must reach.
const FACTOR: f64 = 0.85;

/// The figure of each row, by its id.
#[derive(Debug)]
pub(crate) struct Recorded(BTreeMap<String, f64>);

/// What two runs say of the recorded figures.
#[derive(Debug, PartialEq)]
pub(crate) struct Checked {
    /// One line for each row that became worse.
    worse: Vec<String>,
    /// Rows without a verdict: a run was too busy, or has no figure since its program failed.
    refused: usize,
    compared: usize,
}

impl Recorded {
    /// # Errors
    /// When there are none.
    pub(crate) fn read() -> Result<Self> {
        let text =
            fs::read_to_string(file()).with_context(|| format!("there is no {FILE}: `cargo xtask bench --record`"))?;
        Ok(Self(serde_json::from_str(&text).with_context(|| format!("{FILE} is no object of numbers"))?))
    }

    /// Replaces the figures of the rows that were measured and have a target, and leaves the others.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(findings: &[Finding]) -> Result<()> {
        let mut recorded = if file().exists() { Self::read()? } else { Self(BTreeMap::new()) };
        recorded.update(findings);
        let text = serde_json::to_string_pretty(&recorded.0)? + "\n";
        fs::write(file(), text).with_context(|| format!("could not write {FILE}"))
    }

    fn update(&mut self, findings: &[Finding]) {
        for finding in findings.iter().filter(|finding| matches!(finding.verdict, Verdict::Met | Verdict::NotMet)) {
            // Three digits say enough, and keep the differences of the file small.
            let digits = 10_f64.powf(2.0 - finding.spread.median.abs().log10().floor());
            let figure = (finding.spread.median * digits).round() / digits;
            self.0.insert(finding.row.id.clone(), figure);
        }
    }

    /// Compares two runs with the figures.
    pub(crate) fn check(&self, runs: &[Vec<Finding>; 2]) -> Checked {
        let mut checked = Checked { worse: Vec::new(), refused: 0, compared: 0 };
        for (id, recorded) in &self.0 {
            checked.compared += 1;
            let found = runs.each_ref().map(|run| run.iter().find(|finding| finding.row.id == *id));
            let [Some(first), Some(second)] = found else {
                // Nothing is known of a row whose program failed.
                checked.refused += 1;
                continue;
            };
            if first.is_refused() || second.is_refused() {
                checked.refused += 1;
            } else if [first, second].iter().all(|finding| finding.is_below(*recorded, FACTOR)) {
                let [was, is] = [*recorded, second.spread.median].map(|figure| first.row.unit.show(figure));
                checked.worse.push(format!("{}: {is}, recorded {was}", first.row));
            }
        }
        checked
    }
}

impl Checked {
    /// Prints the result. The status is 1 if a row became worse, and 75 if another has no verdict.
    pub(crate) fn report(&self) -> ExitCode {
        for line in &self.worse {
            println!("bench: worse: {line}");
        }
        println!(
            "bench: {} of {} recorded rows became worse, {} without a verdict",
            self.worse.len(),
            self.compared,
            self.refused
        );
        match self {
            Self { worse, .. } if !worse.is_empty() => ExitCode::FAILURE,
            Self { refused, .. } if *refused > 0 => ExitCode::from(TOO_BUSY),
            _ => ExitCode::SUCCESS,
        }
    }
}

fn file() -> PathBuf {
    workspace_root().join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::bench::plan::program::Program;
    use crate::task::bench::run::samples::Reading;
    use crate::task::bench::statistics::Spread;
    use crate::task::bench::table::row::{Row, Target};

    fn finding(rounds: &[f64], verdict: Verdict) -> Finding {
        let of = Reading { experiment: "calls", program: Program::Ours, at: 64, figure: "per_second" };
        let row = Row::ratio("calls", of, Program::Frames, Target::AtLeast(0.95));
        Finding { row, rounds: rounds.to_vec(), spread: Spread::of(rounds).unwrap(), verdict }
    }

    fn recorded(figure: f64) -> Recorded {
        Recorded([("calls/64/frames/per_second".to_owned(), figure)].into())
    }

    fn checked(first: &[f64], second: &[f64]) -> Checked {
        recorded(1.0).check(&[first, second].map(|rounds| vec![finding(rounds, Verdict::NotMet)]))
    }

    #[test]
    fn a_row_became_worse_if_every_pair_of_both_runs_is_below() {
        assert_eq!(checked(&[0.8, 0.84], &[0.7, 0.8]).worse, ["calls against lapin, same frames: 0.75, recorded 1.00"]);
        assert_eq!(checked(&[0.8, 0.86], &[0.7, 0.8]).worse, [""; 0]);
        assert_eq!(checked(&[0.8, 0.84], &[0.7, 0.9]).worse, [""; 0]);
    }

    #[test]
    fn a_row_of_a_busy_machine_is_not_worse() {
        let busy = || vec![finding(&[0.1], Verdict::Refused("busy".into()))];
        let checked = recorded(1.0).check(&[busy(), busy()]);
        assert_eq!(checked, Checked { worse: vec![], refused: 1, compared: 1 });
    }

    #[test]
    fn a_run_replaces_what_it_measured_and_had_a_verdict_on() {
        let mut figures = recorded(1.0);
        figures.update(&[finding(&[0.1], Verdict::Refused("busy".into()))]);
        assert_eq!(figures.0, recorded(1.0).0);
        figures.update(&[finding(&[0.87654], Verdict::NotMet)]);
        assert_eq!(figures.0, recorded(0.877).0);
    }
}
