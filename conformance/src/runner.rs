//! Runs the cases: a trial for each, on its own runtime, and the comparison with the pinned list.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use libtest_mimic::{Completion, Trial};
use oslo_messaging::Result as DriverResult;
use oslo_messaging::driver::Capabilities;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::console::print_error;
use crate::harness::driver_of_this_test;
use crate::report::{self, CaseRun, Ended, Part, Record};
use crate::{Arguments, Case, Clock, Disturbance, Failed, Harness, Stage, cases, expected};

/// How many cases run concurrently by default on a bus outside of the process: each mostly waits.
/// `--test-threads` overrides it.
const AT_ONCE: usize = 6;

/// The trial that compares the pinned list with the planned cases. It does not depend on which trials run.
/// Its name can be asked for like that of a case.
const PINNED: &str = "pinned::list";

/// What [`run`] counted. The numbers alone are not enough: an unknown name runs nothing, and so fails nothing.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "it says whether the driver conforms"]
pub struct Report {
    /// How many trials passed: the cases, and the comparison with the pinned list.
    pub passed: u64,
    /// How many trials failed; with one the driver does not conform.
    pub failed: u64,
    /// How many cases did not run, since the driver lacks a capability or the harness a disturbance.
    pub ignored: u64,
    /// The name that `--exact` asked for, if no trial has it. Nothing ran, which is not a success.
    pub unknown: Option<String>,
}

impl Report {
    /// Whether no trial failed and the requested trial exists. Prints a missing trial to standard error.
    #[must_use]
    pub fn conforms(&self) -> bool {
        if let Some(unknown) = &self.unknown {
            print_error(&format!("nothing ran: this driver has no trial '{unknown}'"));
        }
        self.unknown.is_none() && self.failed == 0
    }
}

/// The `main` of a driver's conformance test: runs the trials that the command line asks for. `cargo nextest`, which
/// runs one trial for each process, works too. `make` creates a harness for each case; `pinned` lists the cases that
/// run on this driver, one in a line. The exit code is a failure also if the harness cannot connect.
pub fn main<H: Harness>(make: impl Fn() -> H + Send + Sync + 'static, pinned: &str) -> ExitCode {
    match run(make, pinned, &Arguments::from_args()) {
        Ok(report) if report.conforms() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            print_error(&format!("the harness cannot connect: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The `main` of a driver's conformance test on a machine without its bus: every case is ignored with `reason`.
/// Where `CI` is `true` or `OSLO_TEST_REQUIRE_LIVE` is `1` that is a failure, since nothing may be skipped there.
#[must_use]
pub fn ignore_all(reason: &str) -> ExitCode {
    let (ids, arguments): (Vec<_>, _) = (cases().map(|case| case.id.to_owned()).collect(), Arguments::from_args());
    if !arguments.lists() {
        let runs = ids.iter().map(|id| CaseRun::new(id, Ended::Ignored(reason.to_owned()), 0.0)).collect();
        report::write(&Record::new(driver_of_this_test(), Part::Cases(runs)));
    }
    ignored(&arguments.0, ids, reason)
}

/// Ignores a trial for each of `ids`; fails where the environment forbids to skip.
pub(crate) fn ignored(arguments: &libtest_mimic::Arguments, ids: Vec<String>, reason: &str) -> ExitCode {
    let required = [("CI", "true"), ("OSLO_TEST_REQUIRE_LIVE", "1")];
    let strict = required.into_iter().find(|(variable, value)| std::env::var(variable).is_ok_and(|is| is == *value));
    let trial = |id: String| {
        let reason = reason.to_owned();
        // Where a skip is a failure, nextest must see a trial to run in the list.
        let flagged = strict.is_none() && marks_ignored(arguments);
        Trial::ignorable_test(id, move || Ok(Completion::ignored_with(reason))).with_ignored_flag(flagged)
    };
    let conclusion = libtest_mimic::run(arguments, ids.into_iter().map(trial).collect());
    if let Some((variable, value)) = strict.filter(|_| !arguments.list) {
        print_error(&format!("nothing may be skipped where {variable} is {value}, but {reason}"));
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// Whether to mark ignored trials in advance. Nextest reads the marks from the list. A run uses no marks,
/// because a marked trial cannot report its reason.
fn marks_ignored(arguments: &libtest_mimic::Arguments) -> bool {
    arguments.list || arguments.ignored
}

/// Runs the cases that `arguments` ask for, and writes how each ended where
/// [`REPORT`](crate::report::REPORT) says. One more trial compares the pinned list with the planned cases.
/// Under the machine's clock six run at once, unless `arguments` say otherwise.
///
/// # Errors
/// The harness cannot connect, and something is to run. A list without a bus has every case.
pub fn run<H: Harness>(
    make: impl Fn() -> H + Send + Sync + 'static,
    pinned: &str,
    arguments: &Arguments,
) -> DriverResult<Report> {
    let (make, arguments) = (Arc::new(make), &arguments.0);
    let (driver, possible, clock) = {
        let harness = make();
        (harness.driver(), harness.disturbances(), harness.clock())
    };
    let capabilities = match declared(make()) {
        Err(_) if arguments.list => None,
        declared => Some(declared?),
    };
    let plan: Vec<(&'static Case, Option<String>)> = planned(capabilities.as_ref(), possible).collect();
    let drift = {
        let lines = plan.iter().map(|(case, excuse)| expected::line(case.id, excuse.as_deref()));
        expected::drift(pinned, &lines.collect())
    };
    let runs = Arc::new(Mutex::new(Vec::new()));
    let trial = |(case, excuse): (&'static Case, Option<String>)| {
        let (make, runs) = (Arc::clone(&make), Arc::clone(&runs));
        let flagged = excuse.is_some() && marks_ignored(arguments);
        let trial = Trial::ignorable_test(case.id, move || {
            let begun = Instant::now();
            let outcome = match excuse {
                Some(excuse) => Ok(Completion::ignored_with(excuse)),
                None => perform(case, make()).map(|()| Completion::Completed),
            };
            let run = CaseRun::new(case.id, Ended::of(&outcome), begun.elapsed().as_secs_f64());
            runs.lock().unwrap_or_else(PoisonError::into_inner).push(run);
            outcome.map_err(Failed::of_trial)
        });
        trial.with_ignored_flag(flagged)
    };
    let mut trials: Vec<Trial> = plan.into_iter().map(trial).collect();
    trials.push(Trial::test(PINNED, move || unchanged(&drift).map_err(Failed::of_trial)));
    let unknown = unknown(arguments, &trials);
    let mut arguments = arguments.clone();
    if clock == Clock::Real {
        arguments.test_threads.get_or_insert(AT_ONCE);
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        let runs = std::mem::take(&mut *runs.lock().unwrap_or_else(PoisonError::into_inner));
        report::write(&Record::new(driver, Part::Cases(runs)));
    }
    let (passed, failed, ignored) = (conclusion.num_passed, conclusion.num_failed, conclusion.num_ignored);
    Ok(Report { passed, failed, ignored, unknown })
}

/// The cases that apply to a driver that declares `capabilities`, each with the reason why it does not run, if any.
/// Without a connection the capabilities are unknown, and every case is listed. Cases for drivers that lack a
/// capability are left out where the driver has it.
fn planned(
    capabilities: Option<&Capabilities>,
    possible: &'static [Disturbance],
) -> impl Iterator<Item = (&'static Case, Option<String>)> {
    cases().filter_map(move |case| match capabilities {
        Some(capabilities) => case.applies(capabilities).then(|| (case, case.excused(capabilities, possible))),
        None => Some((case, None)),
    })
}

/// The name that is asked for, if no trial has it.
/// Only `--exact` names a trial; a filter may match nothing.
fn unknown(arguments: &libtest_mimic::Arguments, trials: &[Trial]) -> Option<String> {
    let asked = arguments.filter.as_ref().filter(|_| arguments.exact && !arguments.list)?;
    trials.iter().all(|trial| trial.name() != asked).then(|| asked.clone())
}

/// Fails if the planned cases differ from the pinned list.
fn unchanged(drift: &[String]) -> Result<(), Failed> {
    if drift.is_empty() {
        return Ok(());
    }
    Err(format!("the planned cases differ from the pinned list, which should change by\n{}", drift.join("\n")).into())
}

/// Runs one case on a new runtime and closes what it opened. Ignores what the driver declares.
/// A panic, a timeout and leftovers on the bus fail the case, too.
/// The text of the failure ends with the sentence that the case cites.
///
/// # Errors
/// The case failed, or what it opened could not be closed.
pub fn perform(case: &Case, harness: impl Harness) -> Result<(), Failed> {
    let (runtime, limit) = (runtime(harness.clock()), limit(harness.clock()));
    runtime.block_on(async {
        let stage = Stage::new(harness);
        let body = AssertUnwindSafe((case.run)(&stage)).catch_unwind();
        let outcome = match timeout(limit, body).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Err(Failed::from(panic_text(panic.as_ref()))),
            Err(_) => Err(format!("it did not end within {limit:?}").into()),
        };
        let closed = stage.close().await;
        outcome.and(closed).map_err(|failed| format!("{}\n  the contract: {}", failed.message(), case.cites).into())
    })
}

/// The capabilities of the driver, from a connection that is closed again.
///
/// Fails if the harness cannot connect. A failure to close the connection is no failure here.
fn declared(harness: impl Harness) -> DriverResult<Capabilities> {
    runtime(harness.clock()).block_on(async {
        let stage = Stage::new(harness);
        let capabilities = stage.connect().await?.capabilities();
        // The cases report a failure to close, with their names.
        let _ = stage.close().await;
        Ok(capabilities)
    })
}

/// A runtime with one thread, which a paused clock requires.
pub(crate) fn runtime(clock: Clock) -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .start_paused(clock == Clock::Paused)
        .build()
        .expect("the machine has the few descriptors that a runtime needs")
}

/// The timeout of a case, far above what any case needs: a hanging driver fails its case instead of the whole suite.
/// Two minutes on a real clock. A day on a paused one, which passes at once.
pub(crate) fn limit(clock: Clock) -> Duration {
    match clock {
        Clock::Real => Duration::from_secs(120),
        Clock::Paused => Duration::from_secs(24 * 3600),
    }
}

/// The message of a panic, which is a `String` or a `&str`.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use oslo_messaging::driver::Capability;

    use super::*;

    fn arguments(text: &str) -> libtest_mimic::Arguments {
        Arguments::of(text.split(' ')).0
    }

    #[test]
    fn an_unknown_trial_name_is_reported() {
        let unknown = |text| unknown(&arguments(text), &[Trial::test("a::b", || Ok(()))]);
        assert_eq!(unknown("run --exact a::c").unwrap(), "a::c");
        assert_eq!(unknown("run --exact a::b"), None);
        assert_eq!(unknown("run c"), None, "a part of a name may fit nothing");
        assert_eq!(unknown("run --list --exact a::c"), None);
    }

    #[test]
    fn the_list_is_what_runs_and_without_a_bus_every_case() {
        let fanout = Capabilities::from_iter([Capability::Fanout]);
        let is_planned = |capabilities: Option<&Capabilities>, id: &str| {
            planned(capabilities, &[]).find(|(case, _)| case.id == id).map(|(_, excuse)| excuse.is_none())
        };
        assert_eq!(is_planned(Some(&fanout), "refused::fanout"), None);
        assert_eq!(is_planned(Some(&fanout), "refused::pools"), Some(true));
        assert_eq!(is_planned(Some(&fanout), "settle::a_requeued_message_comes_back"), Some(false));
        assert_eq!(planned(None, &[]).filter(|(_, excuse)| excuse.is_none()).count(), cases().count());
    }

    #[test]
    fn only_lists_and_runs_of_ignored_trials_use_marks() {
        let marked = |text| marks_ignored(&arguments(text));
        assert!(marked("run --list --format terse") && marked("run --exact a::b --ignored"));
        assert!(!marked("run --exact a::b"));
    }
}
