//! What a row says of what was measured.

use serde::Serialize;

use super::row::{Row, Target, Unit};
use crate::task::bench::busy::{Load, SPREAD};
use crate::task::bench::run::samples::{Reading, Samples};
use crate::task::bench::statistics::{Spread, ratios};

/// A row with its figure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    pub(crate) row: Row,
    /// The figure of every round that has one.
    pub(crate) rounds: Vec<f64>,
    pub(crate) spread: Spread,
    pub(crate) verdict: Verdict,
}

/// Whether the target is met.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Met,
    NotMet,
    /// There is no target.
    Shown,
    /// The machine was too busy; this is why.
    Refused(String),
}

impl Finding {
    /// `None` if the row was not measured.
    pub(crate) fn of(row: &Row, samples: &Samples, load: &Load) -> Option<Self> {
        let of = samples.read(row.of);
        let rounds = match row.to {
            Some(to) => ratios(&of, &samples.read(to)),
            None => of.into_iter().flatten().collect(),
        };
        let spread = Spread::of(&rounds)?;
        let verdict = verdict(row, spread, others(row, samples), load);
        Some(Self { row: row.clone(), rounds, spread, verdict })
    }

    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.verdict, Verdict::Refused(_))
    }

    /// The median, and where rounds differ the least and the most.
    pub(crate) fn figure(&self) -> String {
        let Spread { median, least, most } = self.spread;
        let show = |figure| self.row.unit.show(figure);
        let (middle, range) = (show(median), [show(least), show(most)]);
        if range.iter().all(|end| *end == middle) { middle } else { format!("{middle} [{}]", range.join("–")) }
    }
}

/// The cores that other processes used while the row was measured: the median over its runs.
fn others(row: &Row, samples: &Samples) -> f64 {
    let cores = |reading: Reading| samples.read(Reading { figure: "other_cores", ..reading });
    let used: Vec<f64> = [Some(row.of), row.to].into_iter().flatten().flat_map(cores).flatten().collect();
    Spread::of(&used).map_or(0.0, |spread| spread.median)
}

fn verdict(row: &Row, spread: Spread, others: f64, load: &Load) -> Verdict {
    let Some(met) = row.target.is_met(spread.median) else { return Verdict::Shown };
    // What is counted does not depend on how busy the machine is.
    let timed = matches!(row.unit, Unit::Ratio | Unit::Seconds | Unit::Milliseconds | Unit::Rate);
    // The page says once how high the load was.
    let busy = load.too_busy().map(|_| "the machine was too busy".to_owned());
    let busy = busy.or_else(|| load.disturbed(others)).filter(|_| timed);
    let apart = (spread.width() > SPREAD)
        .then(|| format!("the rounds lie {:.0} % apart, more than {:.0} %", spread.width() * 100.0, SPREAD * 100.0));
    match busy.or(apart) {
        Some(reason) => Verdict::Refused(reason),
        None if met => Verdict::Met,
        None => Verdict::NotMet,
    }
}

impl Verdict {
    pub(crate) fn show(&self) -> String {
        match self {
            Self::Met => "met".to_owned(),
            Self::NotMet => "**not met**".to_owned(),
            Self::Shown => "–".to_owned(),
            Self::Refused(reason) => format!("no verdict: {reason}"),
        }
    }
}

impl Finding {
    /// Whether every round was worse than `factor` of what was recorded.
    pub(crate) fn is_below(&self, recorded: f64, factor: f64) -> bool {
        self.rounds.iter().all(|figure| match self.row.target {
            Target::AtLeast(_) => *figure < recorded * factor,
            Target::AtMost(_) => *figure > recorded / factor,
            Target::Shown => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::bench::plan::program::Program;
    use crate::task::bench::run::line::Line;
    use crate::task::bench::run::samples::Sample;

    const QUIET: Load = Load { average: 0.3, cores: 2.0 };
    const OURS: Reading = Reading { experiment: "calls", program: Program::Ours, at: 64, figure: "per_second" };

    fn row(target: Target) -> Row {
        Row::ratio("calls", OURS, Program::Frames, target)
    }

    fn samples(rounds: &[(f64, f64)], other_cores: f64) -> Samples {
        let mut samples = Samples::default();
        for (round, (ours, frames)) in (0..).zip(rounds) {
            for (program, rate) in [(Program::Ours, *ours), (Program::Frames, *frames)] {
                let figures = Line::of([("per_second", rate), ("other_cores", other_cores)]);
                samples.add(Sample { experiment: "calls", program, at: 64, round, figures });
            }
        }
        samples
    }

    fn found(rounds: &[(f64, f64)], other_cores: f64, load: Load) -> Finding {
        Finding::of(&row(Target::AtLeast(0.95)), &samples(rounds, other_cores), &load).unwrap()
    }

    #[test]
    fn a_ratio_is_the_median_of_the_ratios_of_the_rounds() {
        // Not the ratio of the medians, which would be 1.
        let finding = found(&[(90.0, 100.0), (100.0, 110.0), (110.0, 95.0)], 0.0, QUIET);
        assert!((finding.spread.median - 100.0 / 110.0).abs() < 1e-9);
        assert_eq!(finding.verdict, Verdict::NotMet);
        assert_eq!(finding.figure(), "0.91 [0.90–1.16]");
    }

    #[test]
    fn a_target_is_met_on_a_quiet_machine_only() {
        let rounds = [(98.0, 100.0), (99.0, 100.0)];
        assert_eq!(found(&rounds, 0.1, QUIET).verdict, Verdict::Met);
        assert!(found(&rounds, 0.6, QUIET).verdict.show().contains("other processes used 0.6"));
        assert!(found(&rounds, 0.1, Load { average: 3.0, ..QUIET }).is_refused());
        let apart = found(&[(50.0, 100.0), (100.0, 100.0)], 0.1, QUIET);
        assert_eq!(apart.verdict.show(), "no verdict: the rounds lie 67 % apart, more than 35 %");
    }

    #[test]
    fn a_count_is_judged_on_a_busy_machine_too() {
        let row = Row::figure("allocations", OURS, Target::AtMost(120.0), Unit::Count);
        let busy = Load { average: 9.0, ..QUIET };
        assert_eq!(Finding::of(&row, &samples(&[(85.0, 0.0)], 2.0), &busy).unwrap().verdict, Verdict::Met);
    }

    #[test]
    fn what_was_not_measured_has_no_finding() {
        let other = Reading { at: 256, ..OURS };
        let row = Row::ratio("calls", other, Program::Frames, Target::Shown);
        assert_eq!(Finding::of(&row, &samples(&[(1.0, 1.0)], 0.0), &QUIET), None);
    }

    #[test]
    fn worse_than_recorded_means_in_every_round_and_in_the_direction_of_the_target() {
        let finding = found(&[(80.0, 100.0), (84.0, 100.0)], 0.0, QUIET);
        assert!(finding.is_below(1.0, 0.85) && !finding.is_below(0.98, 0.85));
        let latency = Finding { row: row(Target::AtMost(1.05)), ..finding };
        assert!(!latency.is_below(1.0, 0.85) && latency.is_below(0.5, 0.85));
    }
}
