//! The report on a run, and whether the run passed.

pub(crate) mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::plan::{LONG, TRIAL};
use super::tally::Tally;
use super::usage::{Usage, compared, growth, usage};
use testkit::workload::count::{COLUMNS, Count};
use testkit::workload::history::History;
use testkit::workload::record::{Begun, Kind, Paced};
use testkit::workload::rules::{Repeats, repeats, soak};

/// How many violations are shown of each rule.
const SHOWN: usize = 10;
/// How many calls of a hundred must succeed outside faults.
const PERCENT: usize = 99;
/// How many of them there must be in each minute, so that a run in which little is done does not pass.
const CALLS: u64 = 100;
/// How many kinds of faults there are.
const KINDS_OF_FAULTS: usize = 6;

/// A report on a whole history. `Display` is the report.
#[derive(Debug)]
pub(crate) struct Report {
    begun: Option<Begun>,
    paced: Option<Paced>,
    tally: Tally,
    faults: Vec<String>,
    recoveries: BTreeMap<&'static str, Vec<Duration>>,
    repeats: Repeats,
    minutes: Vec<(u64, Usage)>,
    compared: Option<(Duration, Usage, Usage)>,
    objections: Vec<String>,
}

impl Report {
    pub(crate) fn on(history: &History) -> Self {
        let tally = Tally::of(history);
        let mut recoveries = BTreeMap::<_, Vec<_>>::new();
        for fault in &history.faults {
            recoveries.entry(fault.kind.name()).or_default().push(fault.recovery());
        }
        let fault = |(fault, count): (&testkit::workload::record::Fault, &Count)| {
            let seconds = |duration: Duration| duration.as_secs_f64();
            format!(
                "{:>7.1} {:<16} {:>6.1} {:>6.1} {count}",
                seconds(fault.begun),
                fault.kind.to_string(),
                seconds(fault.lasted()),
                seconds(fault.recovery())
            )
        };
        let faults = history.faults.iter().zip(&tally.faults).map(fault).collect();
        let last = history.samples.last().map_or(0, |sample| sample.at.as_secs() / 60);
        let minutes = (0..=last).filter_map(|minute| Some((minute, usage(history, Duration::from_secs(60 * minute))?)));
        let mut report = Self {
            begun: history.begun.clone(),
            paced: history.paced.clone(),
            faults,
            repeats: repeats(history),
            minutes: minutes.collect(),
            compared: compared(history),
            objections: soak::violations(history),
            recoveries,
            tally,
        };
        report.objections.extend(report.shortfalls());
        report
    }

    /// Whether everything held and enough was done.
    pub(crate) fn is_well(&self) -> bool {
        self.objections.is_empty()
    }

    /// What was not enough.
    fn shortfalls(&self) -> Vec<String> {
        let mut short = Vec::new();
        let seconds = self.begun.as_ref().map_or(0, |begun| begun.seconds);
        let calls = self.tally.calls_outside();
        if (calls.attempted as u64) < CALLS * (seconds / 60).max(1) {
            short.push(format!("only {} calls were made outside faults", calls.attempted));
        }
        if !calls.reaches(PERCENT) {
            short.push(format!("too few calls succeeded outside faults: {COLUMNS}: {calls}"));
        }
        for kind in [Kind::Call, Kind::Once, Kind::Cast, Kind::Fanout, Kind::Notification, Kind::Undeliverable] {
            if self.tally.outside.get(&kind).is_none_or(|count| count.succeeded == 0) {
                short.push(format!("no {kind:?} succeeded outside faults"));
            }
        }
        // In between there is no time for each kind.
        let all = seconds >= LONG.as_secs() || seconds <= TRIAL.as_secs();
        if self.recoveries.len() < if all { KINDS_OF_FAULTS } else { 1 } {
            short.push(format!("only these faults came: {:?}", self.recoveries.keys()));
        }
        if seconds >= LONG.as_secs() {
            match self.compared {
                Some(compared) => short.extend(growth(compared)),
                None => short.push("readers were not full in time, so growth could not be judged".to_owned()),
            }
        }
        short
    }

    fn write_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, counts) in [("outside faults", &self.tally.outside), ("during faults", &self.tally.inside)] {
            writeln!(f, "\n{place:<16} {COLUMNS}")?;
            for (kind, count) in counts {
                writeln!(f, "  {:<14} {count}", format!("{kind:?}").to_lowercase())?;
            }
        }
        Ok(())
    }

    fn write_faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n  at s  fault             lasts  works {COLUMNS}")?;
        self.faults.iter().try_for_each(|fault| writeln!(f, "{fault}"))?;
        writeln!(f, "\nworks again after, in s: median and longest")?;
        for (name, recoveries) in &self.recoveries {
            let mut sorted = recoveries.clone();
            sorted.sort_unstable();
            let (median, longest) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
            let count = sorted.len();
            writeln!(f, "  {name:<14} {:>5.1} {:>5.1}  of {count}", median.as_secs_f64(), longest.as_secs_f64())?;
        }
        Ok(())
    }

    fn write_usage(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nin minute   KiB  threads  descriptors")?;
        for (minute, Usage { memory, threads, descriptors }) in &self.minutes {
            writeln!(f, "  {minute:>6} {memory:>7} {threads:>6} {descriptors:>8}")?;
        }
        match self.compared {
            Some((baseline, before, after)) => {
                writeln!(f, "the minute from {} s: {before:?}; the last: {after:?}", baseline.as_secs())
            }
            None => writeln!(f, "not judged"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Begun { seed, seconds, queues }) = &self.begun {
            writeln!(f, "seed {seed}, {seconds} s, {queues:?} queues")?;
        }
        if let Some(Paced { workers, capacity, pace }) = &self.paced {
            writeln!(f, "{workers} workers did {capacity} operations a second, and {pace} from then on")?;
        }
        self.write_counts(f)?;
        self.write_faults(f)?;
        let Repeats { methods, events } = self.repeats;
        writeln!(f, "\nstarted twice: {methods} requests, {events} events")?;
        writeln!(f, "nothing ended later than {:?} past its deadline", self.tally.latest)?;
        self.write_usage(f)?;
        writeln!(f, "\n{} objections", self.objections.len())?;
        // Many of one kind would hide the others.
        let mut shown = BTreeMap::<&str, usize>::new();
        for objection in &self.objections {
            let rule = objection.split(':').take(2).map(str::len).sum::<usize>();
            let count = shown.entry(objection.get(..rule).unwrap_or(objection)).or_default();
            *count += 1;
            if *count <= SHOWN {
                writeln!(f, "  {objection}")?;
            }
        }
        Ok(())
    }
}
