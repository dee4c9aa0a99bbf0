//! Messages to the person at the terminal, apart from the list of trials.

use std::io::{self, Write as _};

/// Standard error, since the list of trials goes to standard output.
pub(crate) fn print_error(text: &str) {
    // There is no other place to report that standard error is closed.
    let _ = writeln!(io::stderr(), "\n{text}");
}
