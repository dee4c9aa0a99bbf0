//! Counts the changes that made frames parsable for lapin.

/// The numbers of repairs since they were last taken, each a value of the metric's label.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Repairs {
    /// Short strings that were not UTF-8.
    pub(crate) short_strings: u64,
    /// Arrays and tables that were nested too deeply.
    pub(crate) too_deep: u64,
    /// Content headers that lost headers to fit into a frame.
    pub(crate) trimmed: u64,
    /// Content headers that lost all properties.
    pub(crate) emptied: u64,
}

impl Repairs {
    /// The usual case, in which nothing is logged or counted.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
