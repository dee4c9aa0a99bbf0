//! What came of a scenario.

use std::fmt;
use std::time::Duration;

use crate::sweep::client::IN_A_ROW;
use crate::sweep::history::{History, Kind, Phase};
use crate::sweep::rules::{self, Repeats};
use crate::sweep::tally::{Minimum, Tally};

/// An answer whose caller's connection or inbox is under repair may be late: its call is then told so. How often is shown.
const LATE: &str = "G5: ";

/// Of how many calls one may end so.
const LATE_ONE_OF: usize = 50;

/// How long the least of what is done meanwhile is meant for.
const SPELL: Duration = Duration::from_secs(20);

/// The least that each troupe must have done in each spell: what fails is what was under way when a member went.
const MEANWHILE: &[Minimum] = &[
    Minimum { phase: Phase::During, kind: Kind::Call, attempts: 60, percent: 90 },
    Minimum { phase: Phase::During, kind: Kind::Cast, attempts: 80, percent: 90 },
    Minimum { phase: Phase::During, kind: Kind::Fanout, attempts: 20, percent: 90 },
    Minimum { phase: Phase::During, kind: Kind::Notification, attempts: 50, percent: 90 },
    Minimum { phase: Phase::During, kind: Kind::Undeliverable, attempts: 10, percent: 90 },
];

/// The least that each troupe must have done in the end.
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
    troupes: usize,
    tally: Tally,
    repeats: Repeats,
    /// How many methods ran for calls that were told nothing in time.
    late: usize,
    /// By how much the operation that came last exceeded its deadline.
    overrun: Duration,
    violations: Vec<String>,
}

impl Verdict {
    /// Adds what one troupe did.
    pub(crate) fn add(&mut self, history: &History) {
        self.troupes += 1;
        self.tally.add(history);
        let repeats = rules::repeats(history);
        self.repeats.methods += repeats.methods;
        self.repeats.events += repeats.events;
        let (late, wrong): (Vec<_>, Vec<_>) =
            rules::violations(history).into_iter().partition(|violation| violation.starts_with(LATE));
        self.late += late.len();
        self.violations.extend(wrong);
        let overruns = history.ended.iter().map(|ended| ended.took.saturating_sub(ended.allowed));
        self.overrun = overruns.fold(self.overrun, Duration::max);
    }

    /// Panics unless every rule held and enough was done.
    pub(crate) fn check(&self) {
        let mut objections = self.violations.clone();
        let spells = usize::try_from(self.lasted.as_secs() / SPELL.as_secs()).expect("it is small");
        objections.extend(self.tally.shortfalls(self.troupes * spells.max(1), MEANWHILE));
        objections.extend(self.tally.shortfalls(self.troupes, AFTERWARDS));
        let calls = self.tally.of(Phase::During, Kind::Call).attempted;
        if self.late * LATE_ONE_OF > calls {
            objections.push(format!("{} of {calls} calls were told nothing in time of what had run", self.late));
        }
        assert!(objections.is_empty(), "{} objections:\n{}", objections.len(), objections.join("\n"));
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} troupes, {:.1} s", self.troupes, self.lasted.as_secs_f64())?;
        write!(f, "{}", self.tally)?;
        let Repeats { methods, events } = self.repeats;
        writeln!(f, "  run twice, each marked as redelivered: {methods} requests, {events} events")?;
        writeln!(f, "  answers that did not come in time: {}; longest overrun: {:?}", self.late, self.overrun)?;
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
