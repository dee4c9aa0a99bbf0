//! What another implementation is excused from.

use std::fmt;

use super::Rule;

/// A difference of the reference implementation from our rules that no program is failed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Divergence {
    /// `reference::sentence`.
    pub id: &'static str,
    /// The rules that would be broken.
    pub rules: &'static [&'static Rule],
    /// What it does instead, why, and where that is to be read.
    pub says: &'static str,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<&str> = self.rules.iter().map(|rule| rule.id).collect();
        write!(f, "{} (in place of {}): {}", self.id, rules.join(", "), self.says)
    }
}
