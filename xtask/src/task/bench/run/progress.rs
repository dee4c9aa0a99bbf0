//! How far the runs have come: a bar on a terminal, a line for each experiment elsewhere.

use std::io::{IsTerminal as _, stderr};

use indicatif::{ProgressBar, ProgressStyle};

use crate::task::bench::plan::experiment::Experiment;

/// Shows the progress. Dropping it removes the bar.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(super) fn new(experiments: &[Experiment]) -> Self {
        let runs = experiments.iter().map(|experiment| experiment.runs.len() as u64 * u64::from(experiment.rounds));
        let bar = stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("bench {bar:30} {pos}/{len} runs, {elapsed}, {msg}")
                .expect("the template is valid");
            ProgressBar::new(runs.sum()).with_style(style)
        });
        Self { bar }
    }

    /// A round of an experiment starts; rounds count from 0.
    pub(super) fn round(&self, experiment: &Experiment, round: u32) {
        if self.bar.is_none() {
            eprintln!("bench: {}, round {} of {}", experiment.name, round + 1, experiment.rounds);
        }
    }

    /// A run starts.
    pub(super) fn run(&self, experiment: &str, program: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{experiment}: {program}"));
        }
    }

    /// A run has ended.
    pub(super) fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// Shows what the result lacks.
    pub(super) fn note(&self, note: &str) {
        match &self.bar {
            Some(bar) => bar.println(format!("bench: {note}")),
            None => eprintln!("bench: {note}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
