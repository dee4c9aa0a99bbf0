//! The plots of a run.

use super::chart::{Axis, Chart, Series};
use crate::task::bench::plan::program::Program;
use crate::task::bench::run::samples::{Reading, Samples};
use crate::task::bench::statistics::Spread;

/// The files, and what they show.
pub(super) const NAMES: [(&str, &str); 6] = [
    ("throughput.svg", "Calls a second over RabbitMQ against calls in flight"),
    ("latency-1.svg", "Latency over RabbitMQ, 1 in flight"),
    ("latency-64.svg", "Latency over RabbitMQ, 64 in flight"),
    ("cpu.svg", "CPU time of the program for a call against calls in flight"),
    ("payload.svg", "CPU time of the program for a call against its payload"),
    ("servers.svg", "CPU time of the program for a call against servers at its topic"),
];

/// The percentiles of a latency plot.
const PERCENTILES: [(&str, &str); 4] =
    [("50 %", "p50_us"), ("90 %", "p90_us"), ("99 %", "p99_us"), ("99.9 %", "p999_us")];

const PROGRAMS: [Program; 6] =
    [Program::Ours, Program::Frames, Program::Straight, Program::Careless, Program::Ruststream, Program::Python];

/// The plots that the samples suffice for: name and SVG.
pub(super) fn of(samples: &Samples) -> Vec<(String, String)> {
    // The experiment with the most points shows the curve best; a quick run has the other one.
    let curve = if samples.points("in-flight", Program::Ours).is_empty() { "calls" } else { "in-flight" };
    let lines = |experiment, figure| series(samples, experiment, figure);
    let charts = [
        growth(lines(curve, "per_second"), "in flight", "calls a second", false),
        latency(samples, 1),
        latency(samples, 64),
        growth(lines(curve, "process_cpu_us"), "in flight", "µs a call", false),
        growth(lines("payload", "process_cpu_us"), "bytes", "µs a call", true),
        growth(lines("servers", "process_cpu_us"), "servers", "µs a call", false),
    ];
    let named = NAMES.iter().zip(charts).filter_map(|((name, title), chart)| Some((name, title, chart?)));
    named.map(|(name, title, chart)| ((*name).to_owned(), chart.svg(title))).collect()
}

/// A curve; `None` without at least two points.
fn growth(series: Vec<Series>, x: &str, y: &str, logarithmic: bool) -> Option<Chart> {
    let mut points: Vec<f64> = series.iter().flat_map(|series| &series.points).map(|(at, _)| *at).collect();
    points.sort_by(f64::total_cmp);
    points.dedup();
    let ticks = points.iter().map(|at| (*at, short(*at))).collect();
    let x = Axis { name: x.to_owned(), logarithmic: true, ticks };
    let y = Axis { name: y.to_owned(), logarithmic, ticks: Vec::new() };
    (points.len() > 1).then_some(Chart { x, y, series })
}

fn latency(samples: &Samples, at: u64) -> Option<Chart> {
    let places = || (1_u32..).map(f64::from).zip(PERCENTILES);
    let series: Vec<Series> = PROGRAMS
        .iter()
        .filter_map(|program| {
            let figure = |figure| {
                let rounds = samples.read(Reading { experiment: "calls", program: *program, at, figure });
                Spread::of(&rounds.into_iter().flatten().collect::<Vec<_>>())
            };
            let points = places().filter_map(|(place, (_, name))| Some((place, figure(name)?)));
            let points: Vec<_> = points.collect();
            (!points.is_empty()).then(|| Series { name: program.to_string(), points })
        })
        .collect();
    let ticks = places().map(|(place, (name, _))| (place, name.to_owned())).collect();
    let x = Axis { name: "percentile of the calls".to_owned(), logarithmic: false, ticks };
    let y = Axis { name: "µs".to_owned(), logarithmic: true, ticks: Vec::new() };
    (!series.is_empty()).then_some(Chart { x, y, series })
}

fn series(samples: &Samples, experiment: &'static str, figure: &'static str) -> Vec<Series> {
    let of = |program: Program| {
        let points = samples.points(experiment, program).into_iter().filter_map(|at| {
            let rounds = samples.read(Reading { experiment, program, at, figure });
            #[expect(clippy::cast_precision_loss, reason = "a point on an axis")]
            Some((at as f64, Spread::of(&rounds.into_iter().flatten().collect::<Vec<_>>())?))
        });
        Series { name: program.to_string(), points: points.collect() }
    };
    // The reference has threads, not calls in flight.
    let programs = PROGRAMS.into_iter().filter(|program| *program != Program::Python);
    programs.map(of).filter(|series| series.points.len() > 1).collect()
}

fn short(number: f64) -> String {
    match number {
        _ if number >= 1_048_576.0 => format!("{:.0} Mi", number / 1_048_576.0),
        _ if number >= 1_000.0 => format!("{:.0} k", number / 1_000.0),
        _ => format!("{number:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::bench::run::line::Line;
    use crate::task::bench::run::samples::Sample;

    #[test]
    fn a_run_has_the_plots_that_its_samples_suffice_for() {
        let mut samples = Samples::default();
        for at in [1, 64] {
            let figures = Line::of([("per_second", 1_000.0), ("p50_us", 600.0), ("process_cpu_us", 99.0)]);
            samples.add(Sample { experiment: "calls", program: Program::Ours, at, round: 0, figures });
        }
        let names: Vec<String> = of(&samples).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["throughput.svg", "latency-1.svg", "latency-64.svg", "cpu.svg"]);
        assert!(of(&Samples::default()).is_empty());
    }
}
