//! The trials of a driver's test of programs.

use std::sync::Arc;

use libtest_mimic::{Completion, Trial};

use super::options::Overrides;
use super::{Actors, Generated, Options, delivery, notify, rpc, run_kind};
use crate::harness::driver_of_this_test;
use crate::report::{Ended, Part, ProgramRun, Record, write};
use crate::runner;
use crate::{Clock, Failed, Harness};

/// How many programs a driver's test runs by default, with which actors. A `u64` converts to a plan of that many
/// programs of each kind, played by this library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Each kind of actors once, with its number of programs.
    programs: Vec<(Actors, u64)>,
    /// For a bus that trials share and disturb.
    one_at_a_time: bool,
}

/// How many programs of notifications foreign actors play for every five of RPC: a
/// listener in Python takes up to a second to stop.
const NOTIFY_IN_FIVE: u64 = 3;

/// One planned trial, before it runs.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Which strategy and rules apply.
    kind: Kind,
    /// The number, seed and actors of this trial.
    options: Options,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rpc,
    Notify,
    Delivery,
}

impl From<u64> for Plan {
    fn from(programs: u64) -> Self {
        Self { programs: vec![(Actors::Rust, programs)], one_at_a_time: false }
    }
}

impl Plan {
    /// Adds a trial of `programs` programs of RPC played by `actors`, and one of three fifths as many of notifications.
    /// Replaces an earlier plan for the same actors.
    #[must_use]
    pub fn and(mut self, programs: u64, actors: Actors) -> Self {
        self.programs.retain(|(planned, _)| *planned != actors);
        self.programs.push((actors, programs));
        self
    }

    /// Runs the trials of this process one after the other, because they disturb a shared bus.
    #[must_use]
    pub fn one_at_a_time(mut self) -> Self {
        self.one_at_a_time = true;
        self
    }

    /// The number of concurrent trials; `None` for the default of the machine.
    pub(super) fn threads(&self) -> Option<usize> {
        self.one_at_a_time.then_some(1)
    }

    /// The names of the trials, in the order in which they are planned.
    pub(super) fn ids(&self, overrides: &Overrides) -> Vec<String> {
        self.entries(overrides).iter().map(Entry::id).collect()
    }

    /// Writes for the report that no trial ran.
    pub(super) fn left_out(&self, overrides: &Overrides, reason: &str) {
        for entry in self.entries(overrides) {
            entry.left_out(reason);
        }
    }

    /// Each trial makes its own harnesses.
    pub(super) fn trials<H: Harness>(
        &self,
        overrides: &Overrides,
        make: &Arc<impl Fn() -> H + Send + Sync + 'static>,
    ) -> Vec<Trial> {
        self.entries(overrides).into_iter().map(|entry| entry.trial(make)).collect()
    }

    /// The trials to run: those of the requested actors, planned or not, or all planned ones.
    /// Actors that are asked for but not planned play one program of each kind by default.
    /// Programs of delivery run only with the actors of this library.
    fn entries(&self, overrides: &Overrides) -> Vec<Entry> {
        let planned =
            |actors: Actors| self.programs.iter().find(|(planned, _)| *planned == actors).map(|(_, count)| *count);
        let chosen = match overrides.actors {
            Some(actors) => vec![(actors, planned(actors).unwrap_or(1))],
            None => self.programs.clone(),
        };
        let entries = chosen.into_iter().flat_map(|(actors, programs)| {
            // Programs of delivery have no actors.
            let kinds: &[Kind] = if actors.are_foreign() {
                &[Kind::Rpc, Kind::Notify]
            } else {
                &[Kind::Rpc, Kind::Notify, Kind::Delivery]
            };
            kinds.iter().map(move |kind| {
                let fewer = actors.are_foreign() && *kind == Kind::Notify;
                let programs = if fewer { (programs * NOTIFY_IN_FIVE / 5).max(1) } else { programs };
                Entry { kind: *kind, options: overrides.options(actors, programs) }
            })
        });
        entries.collect()
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Rpc => rpc::Program::NAME,
            Self::Notify => notify::Program::NAME,
            Self::Delivery => delivery::Program::NAME,
        }
    }
}

impl Entry {
    /// Writes a record that no program ran, and why.
    fn left_out(&self, reason: &str) {
        let run = ProgramRun {
            kind: self.kind.name().to_owned(),
            actors: self.options.actors.to_string(),
            seed: self.options.seed,
            programs: 0,
            steps: 0,
            rules: 0,
            seconds: 0.0,
            excused: Vec::new(),
            ended: Ended::Ignored(reason.to_owned()),
        };
        write(&Record::new(driver_of_this_test(), Part::Programs(run)));
    }

    /// Foreign actors add a suffix, `_python` or `_mixed`.
    fn id(&self) -> String {
        let name = self.kind.name();
        if self.options.actors.are_foreign() {
            format!("programs::{name}_{}", self.options.actors)
        } else {
            format!("programs::{name}")
        }
    }

    /// With foreign actors, first checks that a process starts. If the harness has none, the trial is left out.
    fn trial<H: Harness>(self, make: &Arc<impl Fn() -> H + Send + Sync + 'static>) -> Trial {
        let make = Arc::clone(make);
        Trial::ignorable_test(self.id(), move || {
            if self.options.actors.are_foreign() {
                match make().foreign() {
                    Ok(foreign) => runner::runtime(Clock::Real).block_on(foreign.rehearse())?,
                    Err(reason) => {
                        self.left_out(&reason);
                        return left_out(reason).map_err(Failed::of_trial);
                    }
                }
            }
            let report = match self.kind {
                Kind::Rpc => run_kind::<rpc::Program, H>(&*make, &self.options),
                Kind::Notify => run_kind::<notify::Program, H>(&*make, &self.options),
                Kind::Delivery => run_kind::<delivery::Program, H>(&*make, &self.options),
            };
            report.print().map(|()| Completion::Completed).map_err(Failed::of_trial)
        })
    }
}

/// The result of a trial that cannot run: ignored, or failed where the environment forbids to skip.
fn left_out(reason: String) -> Result<Completion, Failed> {
    for (variable, value) in [("CI", "true"), ("OSLO_TEST_REQUIRE_LIVE", "1")] {
        if std::env::var(variable).is_ok_and(|is| is == value) {
            return Err(format!("nothing may be skipped where {variable} is {value}, but {reason}").into());
        }
    }
    Ok(Completion::ignored_with(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned() -> Plan {
        Plan::from(40).and(25, Actors::Mixed).and(10, Actors::Python)
    }

    #[test]
    fn every_kind_of_actors_has_a_trial_of_its_own() {
        let all = [
            "programs::rpc",
            "programs::notify",
            "programs::delivery",
            "programs::rpc_mixed",
            "programs::notify_mixed",
            "programs::rpc_python",
            "programs::notify_python",
        ];
        assert_eq!(planned().ids(&Overrides::default()), all);
        let programs: Vec<u64> = planned().entries(&Overrides::default()).iter().map(|e| e.options.programs).collect();
        assert_eq!(programs, [40, 40, 40, 25, 15, 10, 6]);
    }

    #[test]
    fn actors_that_are_asked_for_play_alone() {
        let overrides = |actors| Overrides { actors: Some(actors), ..Overrides::default() };
        assert_eq!(planned().ids(&overrides(Actors::Mixed)), ["programs::rpc_mixed", "programs::notify_mixed"]);
        assert_eq!(
            planned().ids(&overrides(Actors::Rust)),
            ["programs::rpc", "programs::notify", "programs::delivery"]
        );
        assert_eq!(Plan::from(40).ids(&overrides(Actors::Python)), ["programs::rpc_python", "programs::notify_python"]);
    }
}
