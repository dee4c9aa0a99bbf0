//! The result of a scenario. Pure.

pub(crate) mod tests;

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use testkit::workload::count::{COLUMNS, Count};
use testkit::workload::history::History;
use testkit::workload::lateness::Lateness;
use testkit::workload::record::{Ended, Kind, Phase};
use testkit::workload::rules::{self, Repeats};
use testkit::workload::script::IN_A_ROW;
use testkit::workload::tally::{Minimum, Tally};

/// An answer may be late while the connection or the inbox of its caller is restored: the call then times out. The report
/// counts these.
const LATE: &str = "G5: ";

/// Of how many calls one may end so. When a member goes, a workload has at most the six calls of one round under way, and a
/// scenario of 20 s makes some 700 of two workloads. As many as six were cut off by one blow, and none had run: so far this
/// was never seen, also on a machine with six times the load that it can bear.
const LATE_ONE_OF: usize = 100;

/// How many calls of a hundred must succeed outside of every window.
const PERCENT: usize = 99;

/// How many calls each workload must have made before the first blow and after each, on average: one round, where there is time
/// for some six.
const OUTSIDE: usize = 6;

/// How long the least of what is done meanwhile is meant for.
const SPELL: Duration = Duration::from_secs(20);

/// The least that each workload must have done in each spell: what fails is what was under way when a member went.
const MEANWHILE: &[Minimum] = &[
    Minimum { phase: Phase::During, kind: Kind::Call, attempts: 60, percent: 90 },
    Minimum { phase: Phase::During, kind: Kind::Cast, attempts: 80, percent: 90 },
    Minimum { phase: Phase::During, kind: Kind::Fanout, attempts: 20, percent: 90 },
    Minimum { phase: Phase::During, kind: Kind::Notification, attempts: 50, percent: 90 },
    // One in each round, so that one which a blow fails is much.
    Minimum { phase: Phase::During, kind: Kind::Undeliverable, attempts: 10, percent: 60 },
];

/// The least that each workload must have done in the end.
const AFTERWARDS: &[Minimum] = &[
    Minimum { phase: Phase::Afterwards, kind: Kind::Call, attempts: IN_A_ROW, percent: 100 },
    Minimum { phase: Phase::Afterwards, kind: Kind::Notification, attempts: IN_A_ROW, percent: 100 },
];

#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) lasted: Duration,
    /// From each blow until everything had worked without the member that was hurt.
    pub(crate) without: Vec<Duration>,
    /// From each member's return until everything had worked.
    pub(crate) with: Vec<Duration>,
    /// From each blow until everything worked with the member back.
    pub(crate) windows: Vec<(Instant, Instant)>,
    workloads: usize,
    tally: Tally,
    /// Calls of which no part was inside a window, and those of them that were among some of everything.
    outside: Count,
    outside_meanwhile: usize,
    repeats: Repeats,
    /// How many methods ran for calls that got no answer in time.
    late: usize,
    lateness: Lateness,
    violations: Vec<String>,
}

impl Verdict {
    /// Adds what one workload did, which began at `start`.
    pub(crate) fn add(&mut self, start: Instant, history: &History) {
        self.workloads += 1;
        self.tally.add(history);
        let repeats = rules::repeats(history);
        self.repeats.methods += repeats.methods;
        self.repeats.events += repeats.events;
        let (late, wrong): (Vec<_>, Vec<_>) =
            rules::sweep::violations(history).into_iter().partition(|violation| violation.starts_with(LATE));
        self.late += late.len();
        self.violations.extend(wrong);
        self.lateness.add(history);
        for call in history.ended.iter().filter(|ended| ended.kind == Kind::Call) {
            if self.is_inside(start, call) {
                continue;
            }
            self.outside.add(call.wrong_result());
            self.outside_meanwhile += usize::from(call.phase == Phase::During);
        }
    }

    /// Whether any part of it was inside a window.
    fn is_inside(&self, start: Instant, ended: &Ended) -> bool {
        let (begun, done) = (start + ended.begun, start + ended.done);
        self.windows.iter().any(|(from, to)| begun <= *to && done >= *from)
    }

    /// Panics unless every rule held and enough was done.
    pub(crate) fn check(&self) {
        let objections = self.objections();
        assert!(objections.is_empty(), "{} objections:\n{}", objections.len(), objections.join("\n"));
    }

    /// Broken rules, and minimums that were not reached.
    pub(crate) fn objections(&self) -> Vec<String> {
        let mut objections = self.violations.clone();
        let spells = usize::try_from(self.lasted.as_secs() / SPELL.as_secs()).expect("it is small");
        objections.extend(self.tally.shortfalls(self.workloads * spells.max(1), MEANWHILE));
        objections.extend(self.tally.shortfalls(self.workloads, AFTERWARDS));
        objections.extend(self.lateness.objection());
        if !self.outside.reaches(PERCENT) {
            objections.push(format!("too few calls succeeded outside faults: {COLUMNS}: {}", self.outside));
        }
        // Before the first blow and after each there are two seconds.
        let needed = OUTSIDE * self.workloads * (self.windows.len() + 1);
        if self.outside_meanwhile < needed {
            objections.push(format!("only {} calls were made outside faults, not {needed}", self.outside_meanwhile));
        }
        let calls = self.tally.of(Phase::During, Kind::Call).attempted;
        if self.late * LATE_ONE_OF > calls {
            objections.push(format!("{} of {calls} calls ran and got no answer in time", self.late));
        }
        objections
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} workloads, {:.1} s", self.workloads, self.lasted.as_secs_f64())?;
        write!(f, "{}", self.tally)?;
        let Repeats { methods, events } = self.repeats;
        writeln!(f, "  run twice, each marked as redelivered: {methods} requests, {events} events")?;
        writeln!(f, "  {:<30} {COLUMNS}", "")?;
        let meanwhile = self.outside_meanwhile;
        writeln!(f, "  {:<30} {}  ({meanwhile} meanwhile)", "call outside faults", self.outside)?;
        writeln!(f, "  answers that did not come in time: {}", self.late)?;
        writeln!(f, "  {}", self.lateness)?;
        for (blow, (without, with)) in self.without.iter().zip(&self.with).enumerate() {
            let blow = blow + 1;
            writeln!(
                f,
                "  blow {blow}: everything worked after {without:?}, and again {with:?} after the member's return"
            )?;
        }
        write!(f, "  {} rules broken", self.violations.len())
    }
}
