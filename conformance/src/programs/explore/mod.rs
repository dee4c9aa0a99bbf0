//! Generates programs of one kind, runs each on a harness and a runtime of its own, and shrinks the first that fails.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use oslo_messaging::driver::Capabilities;
use proptest::strategy::{BoxedStrategy, Strategy as _};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use tokio::time::timeout;

use super::progress::Progress;
use super::{Actors, Divergence, Options, Rule, Violation};
use crate::{Clock, Disturbance, Failed, Harness, Stage, runner};

/// Broken by a program that cannot be played, or does not end in time.
static ENDS: Rule = Rule {
    id: "lifecycle::a_program_ends",
    requires: &[],
    says: "Its connections can be made, and every operation of a program ends.",
};

/// A kind of program that can be generated, played, judged and made smaller.
pub(crate) trait Generated: fmt::Debug + fmt::Display + Clone + Send + Sync + Sized + 'static {
    /// The name of the kind, as trials and reports show it.
    const NAME: &'static str;

    /// The rules of the kind, against which every history is checked.
    fn rules() -> &'static [&'static Rule];

    /// The divergences of foreign actors. Default: none.
    fn divergences() -> Vec<Divergence> {
        Vec::new()
    }

    /// The rule that leftovers on the bus break.
    fn leftover() -> &'static Rule;

    /// Generates programs with those of `perils` that the kind has.
    fn strategy(perils: Perils) -> BoxedStrategy<Self>;

    /// Assigns the parts of the program to `actors`, as `seed` determines. Default: it has no actors.
    #[must_use]
    fn cast(self, _actors: Actors, _seed: u64) -> Self {
        self
    }

    /// The number of its steps, for the report.
    fn size(&self) -> usize;

    /// Programs with one part less, larger parts first. Proptest cannot shrink what is filtered after generation.
    fn smaller(&self) -> Vec<Self>;

    /// Returns every violation, excused ones too. Opens its connections through `stage`, which the caller closes.
    ///
    /// Fails if the program cannot be played to its end; the caller counts that as a violation.
    fn play<'a>(&'a self, stage: &'a Stage) -> BoxFuture<'a, Result<Vec<Violation>, Failed>>;
}

/// The result of a run of programs of one kind.
#[derive(Debug)]
pub(crate) struct Explored {
    /// How many programs ran, including the failed one, without its shrunk forms.
    pub(crate) programs: u64,
    /// The steps of those programs in all.
    pub(crate) steps: usize,
    /// How often foreign actors broke each rule and were excused.
    pub(crate) excused: BTreeMap<&'static str, u64>,
    /// The duration on the machine's clock.
    pub(crate) took: Duration,
    /// `None` if every rule held.
    pub(crate) found: Option<Found>,
}

/// A program that broke a rule, shrunk.
#[derive(Debug)]
pub(crate) struct Found {
    /// Generates the program again, before it was shrunk.
    pub(crate) seed: u64,
    /// Those of the shrunk program, which may break other rules than the program that was generated.
    pub(crate) violations: Vec<Violation>,
    /// The program as JSON, which [`replay`](super::replay) takes.
    pub(crate) json: String,
}

/// What a run of programs needs, apart from its options.
pub(crate) struct Search<'a, P: Generated> {
    /// Draws one program from each seed.
    pub(crate) programs: BoxedStrategy<P>,
    /// Plays a program once, on harnesses of its own.
    pub(crate) check: &'a dyn Fn(&P) -> Performed,
    /// How many runs proptest may spend on shrinking, and then the removal of parts again.
    pub(crate) shrinking: u32,
    /// The name in progress lines; `None` shows no progress.
    pub(crate) name: Option<String>,
}

/// Runs programs until one breaks a rule.
/// Each program has a seed of its own: that of the options, and then the next numbers.
pub(crate) fn explore<P: Generated>(search: &Search<'_, P>, options: Options) -> Explored {
    let begun = Instant::now();
    let mut explored = Explored { programs: 0, steps: 0, took: Duration::ZERO, excused: BTreeMap::new(), found: None };
    let progress = search.name.as_ref().map(|name| Progress::new(name, options.programs));
    for seed in (options.seed..).take(usize::try_from(options.programs).unwrap_or(usize::MAX)) {
        if let Some(progress) = &progress {
            progress.next(explored.programs, explored.steps, seed);
        }
        explored.programs += 1;
        search.one(seed, options.actors, &mut explored);
        if explored.found.is_some() {
            break;
        }
    }
    explored.took = begun.elapsed();
    explored
}

/// What may happen in programs in addition to the steps of their actors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Perils {
    /// Steps may cut every connection; each one is restored.
    pub(crate) cuts: bool,
    /// A program may run under a delivery limit of its shared queues.
    pub(crate) limits: bool,
    /// Servers are stopped in a hurry. They must report dropped requests
    /// within moments, which only a paused clock ensures.
    pub(crate) hurry: bool,
}

/// The perils that this harness supports. It cannot cut the connections of foreign actors.
/// A paused clock is needed to stop servers in a hurry.
pub(crate) fn perils(harness: &impl Harness, actors: Actors) -> Perils {
    if actors.are_foreign() {
        return Perils::default();
    }
    let can = |disturbance| harness.disturbances().contains(&disturbance);
    let limits = can(Disturbance::Limit) && can(Disturbance::LimitFailures);
    Perils { cuts: can(Disturbance::Cut), limits, hurry: harness.clock() == Clock::Paused }
}

/// How many runs to spend on shrinking with this clock.
/// Waits cost no time on a paused clock, so it can afford more runs.
pub(crate) fn shrinking(clock: Clock) -> u32 {
    match clock {
        Clock::Paused => 4_000,
        Clock::Real => 100,
    }
}

impl<P: Generated> Search<'_, P> {
    /// Proptest shrinks the values first; [`smallest`](Self::smallest) then removes parts.
    /// Steps and excuses are counted for the first run alone, not for the shrunk forms.
    fn one(&self, seed: u64, actors: Actors, explored: &mut Explored) {
        let (first, broken) = (Cell::new(true), RefCell::new(Vec::new()));
        let (size, excused) = (Cell::new(0), RefCell::new(Vec::new()));
        let programs = self.programs.clone().prop_map(move |program| program.cast(actors, seed));
        let outcome = runner_of(seed, self.shrinking).run(&programs, |program| {
            let performed = (self.check)(&program);
            if first.replace(false) {
                size.set(program.size());
                excused.replace(performed.excused);
            }
            let violations = performed.violations;
            if violations.is_empty() {
                return Ok(());
            }
            let text = violations[0].to_string();
            broken.replace(violations);
            Err(TestCaseError::fail(text))
        });
        explored.steps += size.get();
        for rule in excused.into_inner() {
            *explored.excused.entry(rule.id).or_default() += 1;
        }
        explored.found = match outcome {
            Ok(()) => None,
            Err(TestError::Fail(_, program)) => {
                let (program, violations) = self.smallest(program, broken.into_inner());
                let json = format!("{{\"{}\":{program}}}", P::NAME);
                Some(Found { seed, violations, json })
            }
            Err(TestError::Abort(reason)) => unreachable!("no program is rejected, but: {reason}"),
        };
    }

    /// Removes parts of `program` while the rest still breaks a rule and runs are left.
    /// Begins again with the largest parts after each success.
    fn smallest(&self, mut program: P, mut violations: Vec<Violation>) -> (P, Vec<Violation>) {
        let mut runs = self.shrinking;
        'again: loop {
            for smaller in program.smaller() {
                if runs == 0 {
                    return (program, violations);
                }
                runs -= 1;
                let broken = (self.check)(&smaller).violations;
                if !broken.is_empty() {
                    (program, violations) = (smaller, broken);
                    continue 'again;
                }
            }
            return (program, violations);
        }
    }
}

/// What came of one program: its violations, and the rules that foreign actors broke.
pub(crate) struct Performed {
    /// Those that nothing excuses. The program failed if there are any.
    pub(crate) violations: Vec<Violation>,
    /// The rules that foreign actors broke and were excused from.
    pub(crate) excused: Vec<&'static Rule>,
}

impl From<Vec<Violation>> for Performed {
    fn from(violations: Vec<Violation>) -> Self {
        Self { violations, excused: Vec::new() }
    }
}

/// Runs one program on a new runtime and closes what it opened. A program that cannot be played is a violation too.
/// Rules that need a capability which the driver lacks are left out.
pub(crate) fn perform<P: Generated>(program: &P, harness: impl Harness) -> Performed {
    let (runtime, limit) = (runner::runtime(harness.clock()), runner::limit(harness.clock()));
    let stage = Stage::new(harness);
    let tally = stage.tally().clone();
    let played = async {
        let capabilities = capabilities(&stage).await;
        let mut violations = match timeout(limit, program.play(&stage)).await {
            Ok(Ok(violations)) => violations,
            Ok(Err(failed)) => vec![Violation::new(&ENDS, failed.message())],
            Err(_) => vec![Violation::new(&ENDS, format_args!("it did not end within {limit:?}"))],
        };
        if let Err(failed) = stage.close().await {
            violations.push(Violation::new(P::leftover(), failed.message()));
        }
        violations.retain(|violation| violation.rule.binds(&capabilities));
        let excused =
            violations.extract_if(.., |violation| violation.excused).map(|violation| violation.rule).collect();
        Performed { violations, excused }
    };
    metrics::with_local_recorder(&tally, || runtime.block_on(played))
}

/// The connection is closed with the stage.
async fn capabilities(stage: &Stage) -> Capabilities {
    match stage.connect().await {
        Ok(transport) => transport.capabilities(),
        // Without a connection no rule is excused.
        Err(_) => Capabilities::default(),
    }
}

/// A proptest runner whose single program depends on `seed` alone.
/// Shrinking ends after two minutes.
fn runner_of(seed: u64, shrinking: u32) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_iters: shrinking,
        max_shrink_time: u32::try_from(Duration::from_secs(120).as_millis()).expect("two minutes are few"),
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

#[cfg(test)]
mod tests;
