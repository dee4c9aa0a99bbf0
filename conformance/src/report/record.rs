//! Records: the results of tests, as JSON.

use libtest_mimic::Completion;
use serde::{Deserialize, Serialize};

use crate::Failed;

/// The results of one test of one driver, from which the page and the table are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// The name of the driver: [`Harness::driver`](crate::Harness::driver).
    pub driver: String,
    /// The results; with the driver it names the file of the record.
    #[serde(flatten)]
    pub part: Part,
}

/// Each test of a driver writes one of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// The cases of the suite, in the order in which they ended.
    Cases(Vec<CaseRun>),
    /// Generated programs of one kind.
    Programs(ProgramRun),
    /// Flaws that were put into the driver.
    Flaws(Vec<FlawRun>),
}

/// The result of one case. Its fields are the JSON of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CaseRun {
    /// The id of the case, as `area::sentence`.
    pub case: String,
    /// Whether it passed, and if not, why.
    #[serde(flatten)]
    pub ended: Ended,
    /// The duration on the machine's clock.
    pub seconds: f64,
}

/// How a trial ended. What was not run is never reported as passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ended", content = "why", rename_all = "snake_case")]
pub enum Ended {
    /// Everything that it checks held.
    Passed,
    /// It failed with this message, which may have several lines.
    Failed(String),
    /// It did not run, for this reason.
    Ignored(String),
}

/// One run of programs of one kind, played by actors of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProgramRun {
    /// The kind of program: `rpc`, `notify` or `delivery`.
    pub kind: String,
    /// Who played the actors: `rust`, `python` or `mixed`.
    pub actors: String,
    /// The seed of the first program; each later one had the next number.
    pub seed: u64,
    /// How many programs ran, the failed one included.
    pub programs: u64,
    /// The steps of all programs; a message that is sent several times counts as several.
    pub steps: usize,
    /// How many rules each program was checked against.
    pub rules: usize,
    /// The duration on the machine's clock.
    pub seconds: f64,
    /// The rules that only excused foreign actors broke.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excused: Vec<Excused>,
    /// Whether every rule held. The message of a failure has the rule, the smallest program and its seed.
    #[serde(flatten)]
    pub ended: Ended,
}

/// A rule that foreign actors broke, and what excuses them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Excused {
    /// The id of the rule, as `area::sentence`.
    pub rule: String,
    /// The divergences of the reference that name the rule; any of them may be the cause.
    pub by: Vec<String>,
    /// How often foreign actors broke it, in all programs of the run.
    pub times: u64,
}

/// Whether the suite caught one flaw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FlawRun {
    /// The [`Flaw`](crate::Flaw), as `Debug` prints it.
    pub flaw: String,
    /// The id of the case that must catch it.
    pub case: String,
    /// Whether the case failed, as it must on a driver with the flaw.
    pub case_caught: bool,
    /// The id of the rule of programs that must catch it.
    pub rule: String,
    /// How many programs ran until the rule was broken; `None` if it never was.
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

impl Ended {
    /// Keeps the reason of a trial that was ignored, and the message of one that failed.
    pub(crate) fn of(outcome: &Result<Completion, Failed>) -> Self {
        match outcome {
            Ok(Completion::Completed) => Self::Passed,
            Ok(Completion::Ignored { reason }) => Self::Ignored(reason.clone().unwrap_or_default()),
            Err(failed) => Self::Failed(failed.message().to_owned()),
        }
    }
}

impl FlawRun {
    /// Whether both the case and the rule caught the flaw.
    #[must_use]
    pub fn caught(&self) -> bool {
        self.case_caught && self.programs.is_some()
    }
}

impl Records {
    /// The records in the order of their file names, if they were read from a directory.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.0.iter()
    }
}

impl FromIterator<Record> for Records {
    fn from_iter<T: IntoIterator<Item = Record>>(records: T) -> Self {
        Self(records.into_iter().collect())
    }
}
