//! The summary as a Markdown table, without seeds and durations, so that the same tests give the same text.

use std::collections::BTreeSet;

use super::table::Counts;
use super::{Ended, ProgramRun, Records};

/// The cell of a driver without results.
const NOTHING: &str = "–";

impl Records {
    /// Renders a table of case groups, kinds of programs and flaws, with a column for each driver.
    /// Flaws get a row only if at least one driver was tested with them.
    #[must_use]
    pub fn markdown(&self) -> String {
        let drivers = self.drivers();
        let mut rows = vec![row("", drivers.iter().map(|driver| format!("`{driver}`"))), rule(drivers.len())];
        for (group, ids) in self.groups() {
            let of = |driver: &&str| {
                let runs = self.cases_of(driver).filter(|run| ids.contains(&run.case.as_str()));
                counted(Counts::of(runs))
            };
            rows.push(row(&format!("`{group}`"), drivers.iter().map(of)));
        }
        let all = |driver: &&str| bold(counted(Counts::of(self.cases_of(driver))));
        rows.push(row("**all cases**", drivers.iter().map(all)));
        for (kind, actors) in self.kinds() {
            let of = |driver: &&str| {
                let mut runs = self.programs_of(driver);
                let run = runs.find(|run| (run.kind.as_str(), run.actors.as_str()) == (kind, actors));
                run.map_or(NOTHING.to_owned(), played)
            };
            rows.push(row(&format!("generated programs: {kind}, {actors}"), drivers.iter().map(of)));
        }
        if drivers.iter().any(|driver| self.flaws_of(driver).next().is_some()) {
            rows.push(row("flaws that their case catches", drivers.iter().map(|driver| self.caught_by_case(driver))));
            rows.push(row("flaws that their rule catches", drivers.iter().map(|driver| self.caught_by_rule(driver))));
        }
        rows.concat()
    }

    /// The share of the flaws whose case failed, as it must.
    fn caught_by_case(&self, driver: &str) -> String {
        let flaws = self.flaws_of(driver).count();
        share(self.flaws_of(driver).filter(|run| run.case_caught).count(), flaws)
    }

    /// The share of the flaws whose rule some program broke.
    fn caught_by_rule(&self, driver: &str) -> String {
        let flaws = self.flaws_of(driver).count();
        share(self.flaws_of(driver).filter(|run| run.programs.is_some()).count(), flaws)
    }
}

/// Cells are not escaped: a `|` in a name would break the table.
fn row(name: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.collect();
    format!("| {name} | {} |\n", cells.join(" | "))
}

/// The line below the header; `columns` does not count the first column.
fn rule(columns: usize) -> String {
    format!("|---|{}\n", "---|".repeat(columns))
}

/// Failures first, since they matter most; zero counts are left out.
fn counted(counts: Counts) -> String {
    let parts = [(counts.failed, " FAILED"), (counts.passed, ""), (counts.ignored, " not run")];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count}{what}")).collect();
    if parts.is_empty() { NOTHING.to_owned() } else { parts.join(", ") }
}

/// A missing result stays plain.
fn bold(text: String) -> String {
    if text == NOTHING { text } else { format!("**{text}**") }
}

/// The number of programs, which is fixed by the test, not by time.
fn played(run: &ProgramRun) -> String {
    match run.ended {
        Ended::Passed => run.programs.to_string(),
        Ended::Failed(_) => format!("FAILED after {}", run.programs),
        Ended::Ignored(_) => "not run".to_owned(),
    }
}

/// A driver without flaws gets the dash of a missing result.
fn share(some: usize, all: usize) -> String {
    if all == 0 { NOTHING.to_owned() } else { format!("{some} of {all}") }
}

/// Replaces the text between the marks `<!-- conformance -->` and `<!-- /conformance -->` by
/// `table`. Returns `None` unless each mark occurs once, in this order. The text outside of the
/// marks and the marks themselves stay as they are.
#[must_use]
pub fn embed(text: &str, table: &str) -> Option<String> {
    /// HTML comments, which Markdown does not show.
    const MARKS: [&str; 2] = ["<!-- conformance -->\n", "<!-- /conformance -->\n"];
    let places: BTreeSet<usize> = MARKS.iter().flat_map(|mark| text.match_indices(mark)).map(|(at, _)| at).collect();
    let [begin, end] = MARKS.map(|mark| text.find(mark));
    let (begin, end) = (begin? + MARKS[0].len(), end?);
    (places.len() == 2 && begin <= end).then(|| format!("{}\n{table}\n{}", &text[..begin], &text[end..]))
}
