//! One trial for each case, each in a runtime of its own, and the comparison with the pinned list.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use libtest_mimic::{Arguments, Completion, Conclusion, Failed, Trial};
use oslo_messaging::{Capabilities, Result as DriverResult};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::report::{self, CaseRun, Ended, Part, Record};
use crate::{Case, Clock, Harness, Stage, cases, expected};

/// How many cases run at once on a bus outside of the process, unless the command line says otherwise: most of the time each
/// waits for it, or for silence.
const AT_ONCE: usize = 6;

/// How a run of the suite ended.
#[derive(Debug)]
#[must_use = "it says whether the driver conforms"]
pub struct Report {
    /// The trials.
    pub conclusion: Conclusion,
    /// How what ran differs from the pinned list, `+` and `-` lines. Empty if only a part was asked for.
    pub drift: Vec<String>,
}

impl Report {
    /// Whether no trial failed and exactly the pinned cases ran. How the two lists differ is told on standard error.
    #[must_use]
    pub fn conforms(&self) -> bool {
        if !self.drift.is_empty() {
            let drift = self.drift.join("\n");
            tell(&format!("what ran is not what is pinned; the pinned list should change by\n{drift}"));
        }
        self.drift.is_empty() && !self.conclusion.has_failed()
    }
}

/// The `main` of a driver's conformance test: runs what the command line asks for. `make` makes a harness for each
/// case; `pinned` lists the cases that run on this driver, one line each.
pub fn main<H: Harness>(make: impl Fn() -> H + Send + Sync + 'static, pinned: &str) -> ExitCode {
    match run(make, pinned, &Arguments::from_args()) {
        Ok(report) if report.conforms() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            tell(&format!("the harness cannot connect: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The `main` of a driver's conformance test on a machine without its bus: every case is ignored with `reason`.
/// Where `CI` is `true` or `OSLO_TEST_REQUIRE_LIVE` is `1` that is a failure, since nothing may be skipped there.
#[must_use]
pub fn ignore_all(reason: &str) -> ExitCode {
    let (ids, arguments): (Vec<_>, _) = (cases().map(|case| case.id.to_owned()).collect(), Arguments::from_args());
    if !arguments.list {
        let runs = ids.iter().map(|id| CaseRun::new(id, Ended::Ignored(reason.to_owned()), 0.0)).collect();
        report::write(&Record::new(report::driver_of_this_test(), Part::Cases(runs)));
    }
    ignored(&arguments, ids, reason)
}

/// Ignores a trial for each of `ids`, which is a failure where nothing may be skipped.
pub(crate) fn ignored(arguments: &Arguments, ids: Vec<String>, reason: &str) -> ExitCode {
    let trial = |id: String| {
        let reason = reason.to_owned();
        Trial::ignorable_test(id, move || Ok(Completion::ignored_with(reason)))
    };
    let conclusion = libtest_mimic::run(arguments, ids.into_iter().map(trial).collect());
    for (variable, value) in [("CI", "true"), ("OSLO_TEST_REQUIRE_LIVE", "1")] {
        if std::env::var(variable).is_ok_and(|is| is == value) {
            tell(&format!("nothing may be skipped where {variable} is {value}, but {reason}"));
            return ExitCode::FAILURE;
        }
    }
    conclusion.exit_code()
}

/// Runs the cases that `arguments` ask for, and writes how each ended where [`REPORT`](crate::report::REPORT) says. Under the
/// machine's clock six run at once, unless `arguments` say otherwise.
///
/// # Errors
/// The harness cannot connect.
pub fn run<H: Harness>(
    make: impl Fn() -> H + Send + Sync + 'static,
    pinned: &str,
    arguments: &Arguments,
) -> DriverResult<Report> {
    let make = Arc::new(make);
    let capabilities = if arguments.list { Capabilities::default() } else { declared(make())? };
    let (driver, possible, clock) = {
        let harness = make();
        (harness.driver(), harness.disturbances(), harness.clock())
    };
    let (ran, runs) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(Mutex::new(Vec::new())));
    let trial = |case: &'static Case| {
        let (make, excuse) = (Arc::clone(&make), case.excused(&capabilities, possible));
        let (ran, runs) = (Arc::clone(&ran), Arc::clone(&runs));
        Trial::ignorable_test(case.id, move || {
            let line = expected::line(case.id, excuse.as_deref());
            ran.lock().unwrap_or_else(PoisonError::into_inner).insert(line);
            let begun = Instant::now();
            let outcome = match excuse {
                Some(excuse) => Ok(Completion::ignored_with(excuse)),
                None => perform(case, make()).map(|()| Completion::Completed),
            };
            let run = CaseRun::new(case.id, Ended::of(&outcome), begun.elapsed().as_secs_f64());
            runs.lock().unwrap_or_else(PoisonError::into_inner).push(run);
            outcome
        })
    };
    let applying = cases().filter(|case| case.applies(&capabilities));
    let mut arguments = arguments.clone();
    if clock == Clock::Real {
        arguments.test_threads.get_or_insert(AT_ONCE);
    }
    let conclusion = libtest_mimic::run(&arguments, applying.map(trial).collect());
    if !arguments.list {
        let runs = std::mem::take(&mut *runs.lock().unwrap_or_else(PoisonError::into_inner));
        report::write(&Record::new(driver, Part::Cases(runs)));
    }
    let whole = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.ignored && !arguments.list;
    let ran = ran.lock().unwrap_or_else(PoisonError::into_inner);
    let drift = if whole { expected::drift(pinned, &ran) } else { Vec::new() };
    Ok(Report { conclusion, drift })
}

/// Runs one case on a fresh runtime, whatever its driver declares, and closes what it opened.
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
        outcome.and(closed).map_err(|failed| {
            let text = failed.message().unwrap_or("it failed without a word");
            format!("{text}\n  the contract: {}", case.cites).into()
        })
    })
}

fn declared(harness: impl Harness) -> DriverResult<Capabilities> {
    runtime(harness.clock()).block_on(async {
        let stage = Stage::new(harness);
        let capabilities = stage.connect().await?.capabilities();
        // What it leaves behind is told by the cases, whose failures have a name.
        let _ = stage.close().await;
        Ok(capabilities)
    })
}

pub(crate) fn runtime(clock: Clock) -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .start_paused(clock == Clock::Paused)
        .build()
        .expect("the machine has the few descriptors that a runtime needs")
}

/// Far over what any case needs, so that a driver that hangs fails its case and not the whole suite.
pub(crate) fn limit(clock: Clock) -> Duration {
    match clock {
        Clock::Real => Duration::from_secs(120),
        Clock::Paused => Duration::from_secs(24 * 3600),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked without a word").to_owned()
}

pub(crate) fn tell(text: &str) {
    // Nothing is left to be done if even standard error is closed.
    let _ = writeln!(io::stderr(), "\n{text}");
}
