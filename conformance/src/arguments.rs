//! [`Arguments`]: the filter, the concurrency and the listing of a conformance test.

/// Which cases run, and how: the command line of a test, in the form of `cargo test`.
///
/// ```
/// use oslo_messaging_conformance::Arguments;
///
/// let arguments = Arguments::of(["test", "settle::"]).or_filter("rpc_").one_at_a_time();
/// assert_eq!(arguments.filter(), Some("settle::"));
/// assert!(!arguments.lists());
/// ```
#[derive(Debug, Clone)]
pub struct Arguments(pub(crate) libtest_mimic::Arguments);

impl Arguments {
    /// Those of this process. A wrong one ends it with a message.
    #[must_use]
    pub fn from_args() -> Self {
        Self(libtest_mimic::Arguments::from_args())
    }

    /// Those in `line`, whose first word is the program. A wrong one ends the process with a message.
    #[must_use]
    pub fn of<T: Into<std::ffi::OsString> + Clone>(line: impl IntoIterator<Item = T>) -> Self {
        Self(libtest_mimic::Arguments::from_iter(line))
    }

    /// Runs only the cases whose id contains `filter`, unless the command line has a filter.
    #[must_use]
    pub fn or_filter(mut self, filter: &str) -> Self {
        self.0.filter.get_or_insert_with(|| filter.to_owned());
        self
    }

    /// Runs the cases one after the other, whatever the command line says: for a bus that they disturb.
    #[must_use]
    pub fn one_at_a_time(mut self) -> Self {
        self.0.test_threads = Some(1);
        self
    }

    /// The text that the ids of the chosen cases contain; `None` for all cases.
    #[must_use]
    pub fn filter(&self) -> Option<&str> {
        self.0.filter.as_deref()
    }

    /// Whether the cases are only listed. That needs no bus.
    #[must_use]
    pub fn lists(&self) -> bool {
        self.0.list
    }
}
