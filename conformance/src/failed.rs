//! [`Failed`]: any error as text.

use std::fmt::Display;

/// Why a case or a program failed, in words.
///
/// It does not implement `Display`, so that every error that does converts into one with `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed(String);

impl Failed {
    /// The reason; it may have several lines.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0
    }

    /// Keeps the text as the message that the list of trials prints.
    pub(crate) fn of_trial(self) -> libtest_mimic::Failed {
        self.0.into()
    }
}

impl<E: Display> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
