//! The suite under test: the case and the rule that must catch each flaw.

use std::panic;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Completion, Trial};

use super::explore::{Search, explore, perform as play, perils};
use super::{Generated, Options, delivery, notify, rpc};
use crate::console::print_error;
use crate::report::{FlawRun, Part, Record, write};
use crate::runner::perform;
use crate::{Case, Failed, Flaw, Flawed, Harness, cases};

/// The id of the rule that must catch `flaw` in a run of programs; other rules may catch it too.
fn caught_by(flaw: Flaw) -> &'static str {
    flaw.breaks()
}

/// The `main` of a test of the suite itself: a trial for each flaw, which puts the flaw into the
/// driver. A trial fails unless the flaw's case fails and its rule is broken within `programs` programs
/// of a kind. It is ignored if the harness lacks the disturbance that the case needs. The results are
/// written to the directory that [`REPORT`](crate::report::REPORT) names. The trial of a flaw runs its
/// case once, then programs until the rule breaks.
pub fn prove<H: Harness>(make: impl Fn() -> H + Send + Sync + 'static, programs: u64) -> ExitCode {
    let (options, rest) = match Options::from_environment(programs) {
        Ok(read) => read,
        Err(error) => {
            print_error(&error);
            return ExitCode::FAILURE;
        }
    };
    let (arguments, driver) = (Arguments::from_iter(rest), make().driver());
    // Every case must fail here, so the messages of their panics are noise.
    panic::set_hook(Box::new(|_| ()));
    let (make, runs) = (Arc::new(make), Arc::new(Mutex::new(Vec::new())));
    let trial = |(place, flaw): (usize, &Flaw)| {
        let (make, runs, flaw) = (Arc::clone(&make), Arc::clone(&runs), *flaw);
        Trial::ignorable_test(format!("{flaw:?} breaks {}", caught_by(flaw)), move || {
            let needed = case_of(flaw).disturbs;
            if let Some(needed) = needed.filter(|needed| !make().disturbances().contains(needed)) {
                return Ok(Completion::ignored_with(format!("the harness cannot {needed}")));
            }
            let run = chase(&*make, flaw, &options);
            let verdict = verdict(&run, options.seed);
            runs.lock().unwrap_or_else(PoisonError::into_inner).push((place, run));
            verdict.map(|()| Completion::Completed).map_err(Failed::of_trial)
        })
    };
    let conclusion = libtest_mimic::run(&arguments, Flaw::ALL.iter().enumerate().map(trial).collect());
    if !arguments.list {
        let mut runs = std::mem::take(&mut *runs.lock().unwrap_or_else(PoisonError::into_inner));
        runs.sort_by_key(|(place, _)| *place);
        write(&Record::new(driver, Part::Flaws(runs.into_iter().map(|(_, run)| run).collect())));
    }
    conclusion.exit_code()
}

/// Runs the case and the programs that must catch `flaw`.
/// Hunts for the rule even if the case missed the flaw, so that the report has both results.
fn chase<H: Harness>(make: &dyn Fn() -> H, flaw: Flaw, options: &Options) -> FlawRun {
    let case = case_of(flaw);
    FlawRun {
        flaw: format!("{flaw:?}"),
        case: case.id.to_owned(),
        case_caught: perform(case, Flawed::new(make(), flaw)).is_err(),
        rule: caught_by(flaw).to_owned(),
        programs: hunt(make, flaw, options),
    }
}

/// Panics if the flaw names a case that does not exist, which a test excludes.
fn case_of(flaw: Flaw) -> &'static Case {
    cases().find(|case| case.id == flaw.caught_by()).expect("every flaw names a case that exists")
}

/// Fails if the case passed, or no program broke the rule. The text has the seed of the first program.
fn verdict(run: &FlawRun, seed: u64) -> Result<(), Failed> {
    if !run.case_caught {
        return Err(format!("the case {} passes", run.case).into());
    }
    match run.programs {
        None => Err(format!("no program from seed {seed} broke {}", run.rule).into()),
        Some(_) => Ok(()),
    }
}

/// Runs programs on a driver with `flaw` until the rule that must catch it is broken. Returns how many programs ran, or
/// `None` if none broke it. Violations of other rules do not count. Failing programs are not shrunk.
fn hunt<H: Harness>(make: impl Fn() -> H, flaw: Flaw, options: &Options) -> Option<u64> {
    let flawed = || Flawed::new(make(), flaw);
    let found = hunt_kind::<rpc::Program, _>(&flawed, flaw, *options);
    let found = found.or_else(|| hunt_kind::<notify::Program, _>(&flawed, flaw, *options));
    found.or_else(|| hunt_kind::<delivery::Program, _>(&flawed, flaw, *options))
}

/// `None` also if the rule of `flaw` is not one of this kind.
/// Runs the programs with the perils that the harness supports.
fn hunt_kind<P: Generated, H: Harness>(make: &dyn Fn() -> H, flaw: Flaw, options: Options) -> Option<u64> {
    let rule = P::rules().iter().find(|rule| rule.id == caught_by(flaw))?;
    let check = |program: &P| {
        let mut performed = play(program, make());
        performed.violations.retain(|violation| violation.rule == *rule);
        performed
    };
    let programs = P::strategy(perils(&make(), options.actors));
    let explored = explore(&Search { programs, check: &check, shrinking: 0, name: None }, options);
    explored.found.map(|_| explored.programs)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_has_a_unique_id_and_every_flaw_names_one() {
        let mut ids = BTreeSet::new();
        for rule in rpc::Program::rules().iter().chain(delivery::Program::rules()).chain(notify::Program::rules()) {
            assert!(ids.insert(rule.id), "{} is listed twice", rule.id);
            assert!(rule.id.contains("::") && rule.says.ends_with('.'), "{}", rule.id);
        }
        for flaw in Flaw::ALL {
            assert!(ids.contains(caught_by(*flaw)), "{flaw:?}");
        }
    }
}
