//! How long operations took.

use std::time::Duration;

use crate::Line;

/// The percentiles that are reported.
const PERCENTILES: [(&str, f64); 5] =
    [("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99), ("p999_us", 0.999), ("max_us", 1.0)];

/// The latency of every operation in a window, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<u64>);

impl Latencies {
    pub(crate) fn note(&mut self, latency: Duration) {
        self.0.push(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn add(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// Adds the percentiles, in microseconds; nothing if no operation ended.
    pub(crate) fn report(mut self, mut line: Line) -> Line {
        self.0.sort_unstable();
        for (name, quantile) in PERCENTILES {
            if let Some(last) = self.0.len().checked_sub(1) {
                let place = (last as f64 * quantile).round() as usize;
                line = line.with(name, self.0[place] as f64 / 1_000.0);
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Arguments;

    #[test]
    fn the_percentiles_of_a_hundred_latencies_are_their_ranks() {
        let mut latencies = Latencies::default();
        for micros in (0..=100).rev() {
            latencies.note(Duration::from_micros(micros));
        }
        let arguments = Arguments::parse(["call".to_owned()].into_iter());
        let line = latencies.report(Line::new("p", &arguments)).to_string();
        assert!(line.contains("\"p50_us\":50.0") && line.contains("\"p99_us\":99.0"), "{line}");
        assert!(line.contains("\"max_us\":100.0"), "{line}");
    }
}
