//! How often something was attempted, and how it ended. Pure; the sweep, the cluster and the soak count alike.

use std::collections::BTreeMap;
use std::fmt;

/// What stands above columns of counts.
pub const COLUMNS: &str = "attempted succeeded failed";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Count {
    pub attempted: usize,
    pub succeeded: usize,
    /// Of what failed, the kinds of errors.
    pub failed: BTreeMap<String, usize>,
}

impl Count {
    /// Adds one, with the kind of its error if it failed.
    pub fn add(&mut self, failed: Option<String>) {
        self.attempted += 1;
        match failed {
            None => self.succeeded += 1,
            Some(kind) => *self.failed.entry(kind).or_default() += 1,
        }
    }

    /// Whether so many of a hundred succeeded.
    pub fn reaches(&self, percent: usize) -> bool {
        self.succeeded * 100 >= self.attempted * percent
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempted, succeeded, failed } = self;
        write!(f, "{attempted:>9} {succeeded:>9} {:>6}", attempted - succeeded)?;
        let kinds: Vec<String> = failed.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        if kinds.is_empty() { Ok(()) } else { write!(f, "  {}", kinds.join(", ")) }
    }
}
