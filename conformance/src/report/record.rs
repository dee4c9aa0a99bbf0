//! What is kept of a run.

use libtest_mimic::{Completion, Failed};
use serde::{Deserialize, Serialize};

use crate::programs::Options;

/// What one test of one driver did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// What the harness calls its driver.
    pub driver: String,
    /// What was tested.
    #[serde(flatten)]
    pub part: Part,
}

/// What a test of a driver does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// It runs the cases.
    Cases(Vec<CaseRun>),
    /// It runs generated programs of one kind.
    Programs(ProgramRun),
    /// It puts flaws into the driver.
    Flaws(Vec<FlawRun>),
}

/// How one case ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CaseRun {
    /// The id of the case.
    pub case: String,
    /// How it ended.
    #[serde(flatten)]
    pub ended: Ended,
    /// What it took on the machine's clock.
    pub seconds: f64,
}

/// How something ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ended", content = "why", rename_all = "snake_case")]
pub enum Ended {
    /// As it should.
    Passed,
    /// Otherwise: what was said.
    Failed(String),
    /// It was not begun: why.
    Ignored(String),
}

/// What a run of programs of one kind did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProgramRun {
    /// The kind of program.
    pub kind: String,
    /// Who played them.
    pub actors: String,
    /// The seed of the first program.
    pub seed: u64,
    /// How many programs ran.
    pub programs: u64,
    /// How many steps they had.
    pub steps: usize,
    /// How many rules each was held against.
    pub rules: usize,
    /// What they took on the machine's clock.
    pub seconds: f64,
    /// Which rules were broken by foreign actors alone that are excused from them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excused: Vec<Excused>,
    /// Whether every rule held. What failed has the rule, the smallest program and its seed.
    #[serde(flatten)]
    pub ended: Ended,
}

/// A rule that foreign actors broke, and what excuses them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Excused {
    /// The rule.
    pub rule: String,
    /// The divergences of the reference that name the rule; one of them it was.
    pub by: Vec<String>,
    /// How often it was broken.
    pub times: u64,
}

/// What caught one flaw that was put into the driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FlawRun {
    /// The flaw.
    pub flaw: String,
    /// The case that must catch it.
    pub case: String,
    /// Whether it did.
    pub case_caught: bool,
    /// The rule of the programs that must catch it.
    pub rule: String,
    /// How many programs it took until that rule did. `None` if none did.
    pub programs: Option<u64>,
}

/// Every record of a run, in any order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Records(pub(super) Vec<Record>);

impl Record {
    pub(crate) fn new(driver: impl Into<String>, part: Part) -> Self {
        Self { driver: driver.into(), part }
    }
}

impl CaseRun {
    pub(crate) fn new(case: &str, ended: Ended, seconds: f64) -> Self {
        Self { case: case.to_owned(), ended, seconds }
    }
}

impl ProgramRun {
    /// A run of programs that nobody played.
    pub(crate) fn ignored(kind: &str, options: &Options, reason: &str) -> Self {
        let (kind, actors, ended) = (kind.to_owned(), options.actors.to_string(), Ended::Ignored(reason.to_owned()));
        let (seed, excused) = (options.seed, Vec::new());
        Self { kind, actors, seed, programs: 0, steps: 0, rules: 0, seconds: 0.0, excused, ended }
    }
}

impl Ended {
    /// How a trial ended.
    pub(crate) fn of(outcome: &Result<Completion, Failed>) -> Self {
        match outcome {
            Ok(Completion::Completed) => Self::Passed,
            Ok(Completion::Ignored { reason }) => Self::Ignored(reason.clone().unwrap_or_default()),
            Err(failed) => Self::Failed(failed.message().unwrap_or("it failed without a word").to_owned()),
        }
    }
}

impl FlawRun {
    /// Whether what must catch the flaw did.
    #[must_use]
    pub fn caught(&self) -> bool {
        self.case_caught && self.programs.is_some()
    }
}

impl Records {
    /// The records, in any order.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.0.iter()
    }
}

impl FromIterator<Record> for Records {
    fn from_iter<T: IntoIterator<Item = Record>>(records: T) -> Self {
        Self(records.into_iter().collect())
    }
}
