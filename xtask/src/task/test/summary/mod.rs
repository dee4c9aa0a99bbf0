//! Reads the output of cargo and of the test harnesses, and finds what is missing in it.

use std::fmt;
use std::ops::AddAssign;
use std::path::Path;

use crate::task::test::suite::Suite;

/// Part of every reason for skipping a live test: it names the missing variable.
const LACKING: &str = "OSLO_TEST_";

/// How many tests ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    /// Reads `test result: ok. 5 passed; 0 failed; 2 ignored; ...`.
    fn parse(line: &str) -> Option<Self> {
        let (_, counts) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
        let count = |what: &str| {
            let part = counts.split(';').find(|part| part.trim().ends_with(what))?;
            part.trim().split(' ').next()?.parse().ok()
        };
        Some(Self { passed: count("passed")?, failed: count("failed")?, skipped: count("ignored")? })
    }

    fn executed(self) -> u64 {
        self.passed + self.failed
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// What one suite reported.
#[derive(Debug)]
struct Outcome {
    name: String,
    live: bool,
    /// `None` until it printed a result: it did not run, or died on the way.
    counts: Option<Counts>,
    lacking_broker: u64,
}

/// What a whole run of `cargo test` reported, built line by line.
#[derive(Debug)]
pub(crate) struct Summary {
    suites: Vec<Suite>,
    outcomes: Vec<Outcome>,
}

impl Summary {
    /// Expects `suites`, and whatever documentation tests come along.
    pub(crate) fn new(suites: Vec<Suite>) -> Self {
        Self { suites, outcomes: Vec::new() }
    }

    /// Expects `suite` too, whose lines come next without a line that announces it.
    pub(crate) fn enter(&mut self, suite: Suite) {
        self.outcomes.push(Outcome { name: suite.name.clone(), live: suite.live, counts: None, lacking_broker: 0 });
        self.suites.push(suite);
    }

    /// Takes the next line of the run, standard output and standard error in one stream.
    pub(crate) fn read(&mut self, line: &str) {
        let trimmed = line.trim();
        if let Some(started) = self.started(trimmed) {
            self.outcomes.push(started);
        } else if let (Some(outcome), Some(counts)) = (self.outcomes.last_mut(), Counts::parse(trimmed)) {
            // Documentation tests print a result for each of their groups.
            *outcome.counts.get_or_insert_default() += counts;
        } else if let Some(outcome) = self.outcomes.last_mut()
            && trimmed.starts_with("test ")
            && trimmed.split_once(" ... ignored").is_some_and(|(_, reason)| reason.contains(LACKING))
        {
            outcome.lacking_broker += 1;
        }
    }

    /// All suites together; one that died counts as one failure.
    pub(crate) fn total(&self) -> Counts {
        let mut total = Counts::default();
        for outcome in &self.outcomes {
            total += outcome.counts.unwrap_or(Counts { failed: 1, ..Counts::default() });
        }
        total
    }

    /// One line for each suite.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |outcome: &Outcome| match outcome.counts {
            Some(counts) => format!("{}: {counts}", outcome.name),
            None => format!("{}: did not finish", outcome.name),
        };
        self.outcomes.iter().map(line).collect()
    }

    /// Why this run proves nothing: suites that died or never ran and, with `live`, live suites that ran no test or skipped
    /// one for want of a broker.
    pub(crate) fn objections(&self, live: bool) -> Vec<String> {
        let mut objections = Vec::new();
        for suite in &self.suites {
            if !self.outcomes.iter().any(|outcome| outcome.name == suite.name) {
                objections.push(format!("{} never ran", suite.name));
            }
        }
        for outcome in &self.outcomes {
            match outcome.counts {
                None => objections.push(format!("{} did not finish", outcome.name)),
                Some(counts) if live && outcome.live && counts.executed() == 0 => {
                    objections.push(format!("{} is live, but ran no test", outcome.name));
                }
                Some(_) if live && outcome.live && outcome.lacking_broker > 0 => {
                    objections
                        .push(format!("{} skipped {} for want of a broker", outcome.name, outcome.lacking_broker));
                }
                Some(_) => {}
            }
        }
        if live && !self.outcomes.iter().any(|outcome| outcome.live) {
            objections.push("no live suite ran".to_owned());
        }
        objections
    }

    /// The suite whose start a line announces: `Running tests/a.rs (target/debug/deps/a-0)`, `Doc-tests name`.
    fn started(&self, line: &str) -> Option<Outcome> {
        let (name, needs_broker) = if let Some(name) = line.strip_prefix("Doc-tests ") {
            (format!("{name} documentation"), false)
        } else {
            let (_, path) = line.strip_prefix("Running ")?.strip_suffix(')')?.rsplit_once(" (")?;
            // Printed relative to the workspace when it lies within.
            let suite = self.suites.iter().find(|suite| suite.executable.ends_with(Path::new(path)))?;
            (suite.name.clone(), suite.live)
        };
        Some(Outcome { name, live: needs_broker, counts: None, lacking_broker: 0 })
    }
}

#[cfg(test)]
mod tests;
