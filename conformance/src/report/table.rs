//! Views of the records, for pages and tables.

use std::collections::BTreeSet;

use super::{CaseRun, Ended, FlawRun, Part, ProgramRun, Records};
use crate::cases;

/// How many cases passed, failed or did not run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) failed: usize,
    /// Cases that did not run, for whatever reason.
    pub(super) ignored: usize,
}

impl Counts {
    /// Counts every run, also repeated ones of one case.
    pub(super) fn of<'a>(runs: impl Iterator<Item = &'a CaseRun>) -> Self {
        let mut counts = Self::default();
        for run in runs {
            *match run.ended {
                Ended::Passed => &mut counts.passed,
                Ended::Failed(_) => &mut counts.failed,
                Ended::Ignored(_) => &mut counts.ignored,
            } += 1;
        }
        counts
    }
}

impl Records {
    /// Failures, and flaws that were not caught, one in a line. Empty for a run that proves everything.
    /// Skipped cases and programs do not object by themselves.
    #[must_use]
    pub fn objections(&self) -> Vec<String> {
        let mut objections = Vec::new();
        for record in &self.0 {
            let driver = &record.driver;
            let mut failed = |what: &str| objections.push(format!("{driver}: {what}"));
            match &record.part {
                Part::Cases(runs) => {
                    let bad = runs.iter().filter(|run| matches!(run.ended, Ended::Failed(_)));
                    bad.for_each(|run| failed(&format!("{} failed", run.case)));
                }
                Part::Programs(run) if matches!(run.ended, Ended::Failed(_)) => {
                    failed(&format!("a program of kind {} failed", run.kind));
                }
                Part::Programs(_) => {}
                Part::Flaws(runs) => {
                    runs.iter().filter(|run| !run.caught()).for_each(|run| failed(&format!("{} got away", run.flaw)));
                }
            }
        }
        objections
    }

    /// The names of the drivers, sorted.
    pub(super) fn drivers(&self) -> Vec<&str> {
        let drivers: BTreeSet<&str> = self.0.iter().map(|record| record.driver.as_str()).collect();
        drivers.into_iter().collect()
    }

    /// The cases of a driver from all of its records, also those that did not run.
    pub(super) fn cases_of<'a>(&'a self, driver: &'a str) -> impl Iterator<Item = &'a CaseRun> {
        let runs = self.parts_of(driver).filter_map(|part| match part {
            Part::Cases(runs) => Some(runs),
            Part::Programs(_) | Part::Flaws(_) => None,
        });
        runs.flatten()
    }

    /// A driver has a run for each kind of program and of actors.
    pub(super) fn programs_of<'a>(&'a self, driver: &'a str) -> impl Iterator<Item = &'a ProgramRun> {
        self.parts_of(driver).filter_map(|part| match part {
            Part::Programs(run) => Some(run),
            Part::Cases(_) | Part::Flaws(_) => None,
        })
    }

    /// The flaws that were put into a driver; only tests that call [`prove`](crate::programs::prove) record any.
    pub(super) fn flaws_of<'a>(&'a self, driver: &'a str) -> impl Iterator<Item = &'a FlawRun> {
        let runs = self.parts_of(driver).filter_map(|part| match part {
            Part::Flaws(runs) => Some(runs),
            Part::Cases(_) | Part::Programs(_) => None,
        });
        runs.flatten()
    }

    /// The ids of the cases by group, in the order of the suite; unknown cases come last.
    /// A group is the part of an id before `::`. Only cases of which a record exists are listed.
    pub(super) fn groups(&self) -> Vec<(&str, Vec<&str>)> {
        let all = self.drivers();
        let ran: BTreeSet<&str> =
            all.iter().flat_map(|driver| self.cases_of(driver)).map(|run| run.case.as_str()).collect();
        let known: Vec<&str> = cases().map(|case| case.id).filter(|id| ran.contains(id)).collect();
        let unknown = ran.iter().copied().filter(|id| !known.contains(id));
        let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
        for id in known.iter().copied().chain(unknown) {
            let name = id.split_once("::").map_or(id, |(group, _)| group);
            match groups.iter_mut().find(|(group, _)| *group == name) {
                Some((_, ids)) => ids.push(id),
                None => groups.push((name, vec![id])),
            }
        }
        groups
    }

    /// The kinds of programs with their actors, of all drivers.
    /// In the order of the records, each pair once.
    pub(super) fn kinds(&self) -> Vec<(&str, &str)> {
        let mut kinds: Vec<(&str, &str)> = Vec::new();
        for run in self.0.iter().filter_map(|record| match &record.part {
            Part::Programs(run) => Some(run),
            Part::Cases(_) | Part::Flaws(_) => None,
        }) {
            let kind = (run.kind.as_str(), run.actors.as_str());
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds
    }

    /// All records of a driver; several tests of one driver write records of their own.
    fn parts_of<'a>(&'a self, driver: &'a str) -> impl Iterator<Item = &'a Part> {
        self.0.iter().filter(move |record| record.driver == driver).map(|record| &record.part)
    }
}
