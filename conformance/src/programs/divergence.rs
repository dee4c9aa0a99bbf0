//! Divergences: rules that another implementation is excused from.

use std::fmt;

use super::Rule;

/// A known difference of the reference implementation from the rules. It fails no program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Divergence {
    /// `reference::sentence`.
    pub id: &'static str,
    /// The rules that it breaks.
    pub rules: &'static [&'static Rule],
    /// What the reference does instead, why, and the source.
    pub says: &'static str,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<&str> = self.rules.iter().map(|rule| rule.id).collect();
        write!(f, "{} (in place of {}): {}", self.id, rules.join(", "), self.says)
    }
}
