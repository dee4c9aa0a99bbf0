//! The parameters of a run.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use testkit::workload::dice;
use testkit::workload::record::Queues;

/// How many seconds a run takes; `cargo xtask soak` sets it.
const SECONDS: &str = "OSLO_SOAK_SECONDS";
/// `durable` or `quorum`.
const QUEUES: &str = "OSLO_SOAK_QUEUES";
/// The file that the run is written to.
const HISTORY: &str = "OSLO_SOAK_HISTORY";
/// The file of a run that is to be checked again.
const CHECK: &str = "OSLO_SOAK_CHECK";

/// From this length on it is judged what the process holds in the end.
pub(crate) const LONG: Duration = Duration::from_secs(600);
/// How long the trial of every test run takes.
pub(crate) const TRIAL: Duration = Duration::from_secs(24);

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) length: Duration,
    pub(crate) queues: Queues,
    pub(crate) history: PathBuf,
}

/// What the environment asks this process for.
#[derive(Debug, Clone)]
pub(crate) enum Task {
    /// To run as a test among others.
    Trials,
    Soak(Plan),
    Check(PathBuf),
}

impl Task {
    /// # Panics
    /// When a variable of the environment makes no sense.
    pub(crate) fn from_env() -> Self {
        if let Some(file) = env::var_os(CHECK) {
            return Self::Check(file.into());
        }
        let Ok(seconds) = env::var(SECONDS) else { return Self::Trials };
        let seconds = seconds.parse().unwrap_or_else(|_| panic!("{SECONDS} needs a number, not '{seconds}'"));
        let plan = Plan { length: Duration::from_secs(seconds), ..Plan::trial() };
        let history = env::var_os(HISTORY).map_or(plan.history.clone(), PathBuf::from);
        let queues = match env::var(QUEUES).as_deref() {
            Err(_) | Ok("durable") => Queues::Durable,
            Ok("quorum") => Queues::Quorum,
            Ok(other) => panic!("{QUEUES} is durable or quorum, and not '{other}'"),
        };
        Self::Soak(Plan { queues, history, ..plan })
    }
}

impl Plan {
    /// A short run with one fault of each kind.
    pub(crate) fn trial() -> Self {
        let history = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("soak.jsonl");
        Self { seed: dice::seed(), length: TRIAL, queues: Queues::Durable, history }
    }

    /// Whether there is time for one fault of each kind and no more.
    pub(crate) fn is_short(&self) -> bool {
        self.length <= TRIAL
    }

    /// How long most of what is done may take: longer than a node takes to come back, if there is time. What was lost takes
    /// all of it.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(if self.is_short() { 5 } else { 20 })
    }

    /// How long capacity is measured: long enough in a long run for every reader to have had nearly as much as it remembers,
    /// so that what the process holds grows no more because of that.
    pub(crate) fn measuring(&self) -> Duration {
        (self.length / 6).min(Duration::from_secs(150))
    }

    /// How long everything is left alone in the end.
    pub(crate) fn calm(&self) -> Duration {
        (self.length / 12).clamp(Duration::from_millis(1_500), Duration::from_secs(40))
    }
}
