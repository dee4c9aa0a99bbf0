//! The line of results that a program prints.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What one run of a program measured, by the names of the figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Line(BTreeMap<String, f64>);

impl Line {
    /// Reads the one JSON object in the output of a program, and derives the figures that follow from others: CPU time for
    /// each operation, and the cores that other processes used meanwhile.
    ///
    /// # Errors
    /// When there is none, or an operation failed.
    pub(crate) fn parse(output: &str) -> Result<Self> {
        let line = output.lines().find(|line| line.starts_with('{')).context("it printed no result")?;
        let fields: BTreeMap<String, Value> = serde_json::from_str(line).context("its result is no JSON object")?;
        let number = |(name, value): (String, Value)| Some((name, value.as_f64()?));
        let mut line = Self(fields.into_iter().filter_map(number).collect());
        ensure!(line.get("errors").unwrap_or(0.0) == 0.0, "{} operations failed", line.0["errors"]);
        line.derive();
        Ok(line)
    }

    /// A line of figures that were not printed.
    pub(crate) fn of<const N: usize>(figures: [(&str, f64); N]) -> Self {
        Self(figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect())
    }

    pub(crate) fn get(&self, figure: &str) -> Option<f64> {
        self.0.get(figure).copied()
    }

    fn derive(&mut self) {
        let Some(operations) = self.get("operations").filter(|operations| *operations > 0.0) else { return };
        let mut used = 0.0;
        for (seconds, each) in [
            ("process_cpu_seconds", "process_cpu_us"),
            ("broker_cpu_seconds", "broker_cpu_us"),
            ("server_cpu_seconds", "server_cpu_us"),
        ] {
            if let Some(cpu) = self.get(seconds) {
                used += cpu;
                self.0.insert(each.to_owned(), cpu * 1e6 / operations);
            }
        }
        if let (Some(machine), Some(seconds)) = (self.get("machine_cpu_seconds"), self.get("seconds")) {
            self.0.insert("other_cores".to_owned(), ((machine - used) / seconds).max(0.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_found_among_what_a_program_prints() {
        let output = "READY\n{\"program\": \"ours\", \"operations\": 1000, \"seconds\": 2.0, \"process_cpu_seconds\": 0.5,\
                      \"broker_cpu_seconds\": 1.0, \"machine_cpu_seconds\": 2.5, \"errors\": 0}\n";
        let line = Line::parse(output).unwrap();
        assert_eq!(line.get("process_cpu_us"), Some(500.0));
        assert_eq!(line.get("broker_cpu_us"), Some(1000.0));
        assert_eq!(line.get("other_cores"), Some(0.5));
        assert_eq!(line.get("program"), None);
    }

    #[test]
    fn a_program_without_a_result_and_one_with_failures_are_errors() {
        assert!(Line::parse("thread 'main' panicked").unwrap_err().to_string().contains("no result"));
        let error = Line::parse("{\"operations\": 5, \"errors\": 2}").unwrap_err().to_string();
        assert_eq!(error, "2 operations failed");
    }
}
