//! Everything that was measured.

use serde::Serialize;

use super::line::Line;
use crate::task::bench::plan::program::Program;

/// The results of all runs.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Samples {
    samples: Vec<Sample>,
    /// A line for each run that failed.
    #[serde(skip)]
    left_out: Vec<String>,
}

/// The result of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Sample {
    pub(crate) experiment: &'static str,
    pub(crate) program: Program,
    pub(crate) at: u64,
    pub(crate) round: u32,
    pub(crate) figures: Line,
}

/// Which figure of which runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    pub(crate) experiment: &'static str,
    pub(crate) program: Program,
    pub(crate) at: u64,
    pub(crate) figure: &'static str,
}

impl Samples {
    pub(crate) fn add(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// Notes a run that failed.
    pub(crate) fn leave_out(&mut self, line: String) {
        self.left_out.push(line);
    }

    /// A line for each run that failed.
    pub(crate) fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// The figure in every round; `None` where there is none.
    pub(crate) fn read(&self, reading: Reading) -> Vec<Option<f64>> {
        let mut rounds = Vec::new();
        let of = |sample: &&Sample| {
            (sample.experiment, sample.program, sample.at) == (reading.experiment, reading.program, reading.at)
        };
        for sample in self.samples.iter().filter(of) {
            let round = sample.round as usize;
            if rounds.len() <= round {
                rounds.resize(round + 1, None);
            }
            let figure = sample.figures.get(reading.figure);
            rounds[round] = figure.or(rounds[round]);
        }
        rounds
    }

    /// At which values of what varies a program ran, in order.
    pub(crate) fn points(&self, experiment: &str, program: Program) -> Vec<u64> {
        let of = |sample: &&Sample| sample.experiment == experiment && sample.program == program;
        let mut points: Vec<u64> = self.samples.iter().filter(of).map(|sample| sample.at).collect();
        points.sort_unstable();
        points.dedup();
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(program: Program, at: u64, round: u32, figure: f64) -> Sample {
        Sample { experiment: "calls", program, at, round, figures: Line::of([("per_second", figure)]) }
    }

    #[test]
    fn a_figure_is_read_round_by_round_and_a_round_without_it_stays_empty() {
        let mut samples = Samples::default();
        samples.add(sample(Program::Ours, 64, 0, 10.0));
        samples.add(sample(Program::Frames, 64, 1, 99.0));
        samples.add(sample(Program::Ours, 1, 1, 99.0));
        samples.add(sample(Program::Ours, 64, 2, 12.0));
        let reading = Reading { experiment: "calls", program: Program::Ours, at: 64, figure: "per_second" };
        assert_eq!(samples.read(reading), [Some(10.0), None, Some(12.0)]);
        assert_eq!(samples.read(Reading { figure: "p50_us", ..reading }), [None; 3]);
        assert_eq!(samples.points("calls", Program::Ours), [1, 64]);
    }
}
