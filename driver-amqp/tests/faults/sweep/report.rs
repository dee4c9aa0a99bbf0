//! The results of all runs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::points::Point;
use super::run::Outcome;
use crate::wire::Concern;
use testkit::workload::lateness::Lateness;
use testkit::workload::rules::{Repeats, repeats};
use testkit::workload::tally::{Minimum, Tally};

/// After how many runs a long sweep says how far it is.
const STRIDE: usize = 1_000;

#[derive(Debug, Default)]
pub(crate) struct Report {
    /// How many runs there will be.
    planned: usize,
    runs: usize,
    /// How many cuts came where they should.
    at_their_place: usize,
    /// How many of those tore a frame of each concern.
    torn: BTreeMap<Concern, usize>,
    tally: Tally,
    lateness: Lateness,
    /// What ran a second time where that is not refused.
    repeats: Repeats,
    recoveries: Vec<Duration>,
    failures: Vec<String>,
}

impl Report {
    /// The report of `planned` runs that are to come.
    pub(crate) fn of(planned: usize) -> Self {
        Self { planned, ..Self::default() }
    }

    /// Adds a run, or why there is none. Prints failures at once.
    pub(crate) fn add(&mut self, (point, outcome): (Point, Result<Outcome, String>)) {
        self.runs += 1;
        let known = self.failures.len();
        match outcome {
            Ok(outcome) => self.add_outcome(point, &outcome),
            Err(panic) => self.failures.push(format!("{point}: {panic}")),
        }
        for failure in &self.failures[known..] {
            eprintln!("{failure}");
        }
        if self.runs.is_multiple_of(STRIDE) {
            eprintln!("{} of {} runs, {} failures", self.runs, self.planned, self.failures.len());
        }
    }

    fn add_outcome(&mut self, point: Point, outcome: &Outcome) {
        self.failures.extend(outcome.violations.iter().map(|violation| format!("{point}: {violation}")));
        self.at_their_place += usize::from(outcome.trip.is_some_and(|trip| trip.at_its_place));
        if let Some((_, concern)) = outcome.torn {
            *self.torn.entry(concern).or_default() += 1;
        }
        self.tally.add(&outcome.history);
        self.lateness.add(&outcome.history);
        let repeats = repeats(&outcome.history);
        self.repeats.methods += repeats.methods;
        self.repeats.events += repeats.events;
        self.recoveries.push(outcome.recovery);
    }

    /// How often what was done, and how it ended.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What is missing of `minimums`.
    pub(crate) fn shortfalls(&self, minimums: &[Minimum]) -> Vec<String> {
        self.tally.shortfalls(self.runs, minimums)
    }

    /// Panics unless everything held, enough was done, and the cuts came where they should: most of them if the places were
    /// `aimed` at, and then half within what concerns a message; the half if each frame was to be cut, since one confirm may
    /// stand for several and another run may not have the last ones.
    pub(crate) fn verdict(&self, minimums: &[Minimum], aimed: bool) {
        let mut objections = self.failures.clone();
        objections.extend(self.shortfalls(minimums));
        objections.extend(self.lateness.objection());
        let needed = if aimed { 80 } else { 50 };
        if self.at_their_place * 100 < self.runs * needed {
            objections.push(format!("only {} of {} cuts came where they should", self.at_their_place, self.runs));
        }
        if aimed && self.within_messages() * 2 < self.runs {
            objections.push(format!("only {} of {} cuts tore what they should", self.within_messages(), self.runs));
        }
        assert!(objections.is_empty(), "{} objections:\n{}", objections.len(), objections.join("\n"));
    }

    fn within_messages(&self) -> usize {
        self.torn.iter().filter(|(concern, _)| **concern != Concern::Other).map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} runs, {} cut where they should be, within frames of", self.runs, self.at_their_place)?;
        for (concern, count) in &self.torn {
            writeln!(f, "  {concern}: {count}")?;
        }
        writeln!(f, "{}{}", self.tally, self.lateness)?;
        let Repeats { methods, events } = self.repeats;
        writeln!(f, "run twice, each marked as redelivered: {methods} requests, {events} events")?;
        let mut recoveries = self.recoveries.clone();
        recoveries.sort_unstable();
        let at = |percent: usize| recoveries.get(recoveries.len() * percent / 100).copied().unwrap_or_default();
        let longest = recoveries.last().copied().unwrap_or_default();
        writeln!(f, "everything worked again after {:?} (median), {:?} (95 %), {longest:?} (all)", at(50), at(95))?;
        write!(f, "{} failures", self.failures.len())
    }
}
