//! What a run leaves behind: a table, a JSON file and plots.

mod chart;
pub(crate) mod document;
mod plots;
pub(crate) mod recorded;

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::busy::Load;
use super::directory;
use super::run::samples::Samples;
use super::table::finding::Finding;

/// The findings of a run, and what they are worth.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) load: Load,
    /// The release of RabbitMQ, if one ran.
    pub(crate) broker: Option<String>,
    pub(crate) quick: bool,
    /// Whether groups of rows were left out on request.
    pub(crate) partial: bool,
    pub(crate) findings: Vec<Finding>,
    /// A line for each run that failed.
    pub(crate) left_out: Vec<String>,
}

impl Report {
    /// Writes the table, the JSON file and the plots into `target/bench`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn write(&self, samples: &Samples) -> Result<()> {
        // A plot of an earlier run is none of this one.
        for (name, _) in plots::NAMES {
            if let Err(error) = fs::remove_file(directory().join(name))
                && error.kind() != ErrorKind::NotFound
            {
                return Err(error).with_context(|| format!("could not remove {name}"));
            }
        }
        let json = serde_json::to_string_pretty(&self.json(samples)?)?;
        let mut files = vec![("result.json".to_owned(), json), ("table.md".to_owned(), self.markdown())];
        files.extend(plots::of(samples));
        for (name, content) in files {
            let file = directory().join(name);
            fs::write(&file, content).with_context(|| format!("could not write {}", file.display()))?;
        }
        Ok(())
    }

    /// What the run was, and the table.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("{}\n\n", self.circumstances());
        text.push_str("| work | compared with | target | figure | verdict |\n|---|---|---|---|---|\n");
        for finding in &self.findings {
            let row = &finding.row;
            let (target, figure) = (row.target.show(row.unit), finding.figure());
            let _ =
                writeln!(text, "| {} | {} | {target} | {figure} | {} |", row.work, row.against, finding.verdict.show());
        }
        for line in &self.left_out {
            let _ = write!(text, "\n{line}\n");
        }
        text
    }

    /// In words, what decides how much the figures are worth.
    fn circumstances(&self) -> String {
        let Load { average, cores } = self.load;
        let kind = match (self.quick, self.partial) {
            (true, false) => "A quick run",
            (true, true) => "A quick run of some groups",
            (false, false) => "A whole run",
            (false, true) => "A run of some groups",
        };
        let broker = self.broker.as_deref().unwrap_or("no broker");
        let refused = self.findings.iter().filter(|finding| finding.is_refused()).count();
        let state = match (self.load.too_busy(), refused) {
            (Some(reason), _) => format!("**The machine was too busy for verdicts on time: {reason}.**"),
            (None, 0) => "The machine was quiet enough for every verdict.".to_owned(),
            (None, rows) => format!("**The machine was too busy for {rows} of {} rows.**", self.findings.len()),
        };
        format!("{kind} on {cores} cores shared with {broker}; load average {average:.1} before the start. {state}")
    }

    fn json(&self, samples: &Samples) -> Result<serde_json::Value> {
        let rows: Vec<_> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "id": finding.row.id,
                    "row": finding.row.to_string(),
                    "target": finding.row.target.show(finding.row.unit),
                    "figure": finding.spread.median,
                    "least": finding.spread.least,
                    "most": finding.spread.most,
                    "rounds": finding.rounds,
                    "verdict": finding.verdict,
                })
            })
            .collect();
        Ok(json!({
            "quick": self.quick,
            "broker": self.broker,
            "cores": self.load.cores,
            "load_average": self.load.average,
            "too_busy": self.load.too_busy(),
            "left_out": self.left_out,
            "rows": rows,
            "samples": serde_json::to_value(samples)?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::bench::plan::program::Program;
    use crate::task::bench::run::line::Line;
    use crate::task::bench::run::samples::{Reading, Sample};
    use crate::task::bench::table::row::{Row, Target};

    fn samples() -> Samples {
        let mut samples = Samples::default();
        for (program, rate) in [(Program::Ours, 96.0), (Program::Frames, 100.0)] {
            let figures = Line::of([("per_second", rate)]);
            samples.add(Sample { experiment: "calls", program, at: 64, round: 0, figures });
        }
        samples
    }

    fn report(average: f64) -> Report {
        let load = Load { average, cores: 2.0 };
        let of = Reading { experiment: "calls", program: Program::Ours, at: 64, figure: "per_second" };
        let row = Row::ratio("calls a second", of, Program::Frames, Target::AtLeast(0.95));
        let findings = vec![Finding::of(&row, &samples(), &load).unwrap()];
        let left_out = vec!["left out: topics, oslo-messaging at 2000: 3 operations failed".to_owned()];
        Report { load, broker: Some("RabbitMQ 3.10.8".into()), quick: true, partial: false, findings, left_out }
    }

    #[test]
    fn the_table_says_what_was_asked_what_was_found_and_whether_that_is_enough() {
        let text = report(0.4).markdown();
        assert!(text.contains("| calls a second | lapin, same frames | ≥ 0.95 | 0.96 | met |\n"), "{text}");
        assert!(text.starts_with("A quick run on 2 cores shared with RabbitMQ 3.10.8; load average 0.4"), "{text}");
        assert!(text.contains("quiet enough for every verdict"), "{text}");
        assert!(text.ends_with("\nleft out: topics, oslo-messaging at 2000: 3 operations failed\n"), "{text}");
    }

    #[test]
    fn a_table_of_a_busy_machine_says_so() {
        let text = report(5.0).markdown();
        assert!(text.contains("too busy for verdicts on time: the load average was 5.0 on 2 cores"), "{text}");
        assert!(!text.contains("| met |"), "{text}");
    }

    #[test]
    fn the_json_has_rows_and_samples() {
        let json = report(0.4).json(&samples()).unwrap();
        assert_eq!(json["rows"][0]["id"], "calls/64/frames/per_second");
        assert_eq!(json["rows"][0]["verdict"], "met");
        assert_eq!(json["samples"][1]["figures"]["per_second"], 100.0);
    }
}
