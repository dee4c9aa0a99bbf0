//! The results of all cells. Pure.

use std::collections::BTreeMap;
use std::fmt;

use oslo_messaging_conformance::report::{Ended, Part, Records};
use xtask::profile::Profile;

/// Brokers in rows, profiles in columns.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<(String, Vec<Cell>)>,
    profiles: Vec<Profile>,
    records: Vec<Records>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cell {
    passed: usize,
    failed: usize,
    ignored: usize,
    /// Whether a suite failed, whatever its cases did.
    broken: bool,
}

impl Table {
    /// Adds the next cell of the row of `broker`.
    pub(crate) fn add(&mut self, broker: String, profile: Profile, ended_well: bool, records: Records) {
        if !self.profiles.contains(&profile) {
            self.profiles.push(profile);
        }
        let cell = Cell { broken: !ended_well, ..Cell::of(&records) };
        self.records.push(records);
        match self.rows.iter_mut().find(|(name, _)| *name == broker) {
            Some((_, cells)) => cells.push(cell),
            None => self.rows.push((broker, vec![cell])),
        }
    }

    /// Whether every case passed everywhere.
    pub(crate) fn held(&self) -> bool {
        let mut cells = self.rows.iter().flat_map(|(_, cells)| cells);
        cells.all(|cell| cell.passed > 0 && cell.failed == 0 && !cell.broken)
    }

    /// The cells, each with how many cases passed.
    pub(crate) fn markdown(&self) -> String {
        let names = self.profiles.iter().map(|profile| format!("`{profile}`"));
        let head = [row("", names), format!("|---|{}\n", "---|".repeat(self.profiles.len()))];
        let rows = self.rows.iter().map(|(broker, cells)| row(broker, cells.iter().map(Cell::to_string)));
        head.into_iter().chain(rows).collect()
    }

    /// Everything that was written down.
    pub(crate) fn records(&self) -> Records {
        self.records.iter().flat_map(Records::iter).cloned().collect()
    }
}

fn row(name: &str, cells: impl Iterator<Item = String>) -> String {
    format!("| {name} | {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

impl Cell {
    /// Each case counts once: what one suite leaves to another was run if that one ran it.
    fn of(records: &Records) -> Self {
        let mut worst: BTreeMap<&str, Self> = BTreeMap::new();
        let cases = records.iter().filter_map(|record| match &record.part {
            Part::Cases(runs) => Some(runs),
            _ => None,
        });
        for run in cases.flatten() {
            let case = worst.entry(&run.case).or_default();
            match run.ended {
                Ended::Passed => case.passed = 1,
                Ended::Failed(_) => case.failed = 1,
                Ended::Ignored(_) => case.ignored = 1,
            }
        }
        let mut all = Self::default();
        for case in worst.values() {
            match case {
                Self { failed: 1, .. } => all.failed += 1,
                Self { passed: 1, .. } => all.passed += 1,
                _ => all.ignored += 1,
            }
        }
        all
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.passed)?;
        if self.ignored > 0 {
            write!(f, ", {} not run", self.ignored)?;
        }
        match (self.failed, self.broken) {
            (0, false) => Ok(()),
            (0, true) => f.write_str(", ended badly"),
            (failed, _) => write!(f, ", {failed} FAILED"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The records of one suite: cases, and how they ended.
    fn record(cases: &[(&str, Value)]) -> Value {
        let run = |(case, ended): &(&str, Value)| {
            let mut run = ended.clone();
            run["case"] = json!(case);
            run["seconds"] = json!(0.1);
            run
        };
        json!({"driver": "a driver", "cases": cases.iter().map(run).collect::<Vec<_>>()})
    }

    fn records(records: &[Value]) -> Records {
        records.iter().map(|record| serde_json::from_value(record.clone()).unwrap()).collect()
    }

    fn passed() -> Value {
        serde_json::to_value(Ended::Passed).unwrap()
    }

    fn ignored() -> Value {
        serde_json::to_value(Ended::Ignored("why".into())).unwrap()
    }

    fn failed() -> Value {
        serde_json::to_value(Ended::Failed("how".into())).unwrap()
    }

    #[test]
    fn a_case_that_one_suite_leaves_to_another_counts_once() {
        let one = record(&[("a", passed()), ("b", ignored()), ("c", ignored())]);
        let other = record(&[("b", passed())]);
        assert_eq!(Cell::of(&records(&[one, other])), Cell { passed: 2, ignored: 1, ..Cell::default() });
    }

    #[test]
    fn a_case_that_fails_once_has_failed() {
        let cell = Cell::of(&records(&[record(&[("a", failed())]), record(&[("a", passed())])]));
        assert_eq!(cell, Cell { failed: 1, ..Cell::default() });
    }

    #[test]
    fn a_table_holds_if_all_of_it_does() {
        let mut table = Table::default();
        let good = || records(&[record(&[("a", passed())])]);
        table.add("RabbitMQ 3".into(), Profile::Oslo, true, good());
        table.add("RabbitMQ 3".into(), Profile::Quorum, true, good());
        assert!(table.held());
        table.add("RabbitMQ 4".into(), Profile::Oslo, true, records(&[record(&[("a", failed())])]));
        assert!(!table.held());
        table.add("RabbitMQ 4".into(), Profile::Quorum, false, good());
        let text = "|  | `oslo` | `quorum` |\n|---|---|---|\n| RabbitMQ 3 | 1 | 1 |\n\
                    | RabbitMQ 4 | 0, 1 FAILED | 1, ended badly |\n";
        assert_eq!(table.markdown(), text);
    }

    #[test]
    fn nothing_at_all_does_not_hold() {
        let mut table = Table::default();
        table.add("RabbitMQ".into(), Profile::Oslo, true, Records::default());
        assert!(!table.held());
    }
}
