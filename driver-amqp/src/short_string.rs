//! Names in the form of AMQP: at most 255 bytes.
//!
//! The length is counted in bytes of UTF-8, not in characters.

use lapin::types::ShortString;
use oslo_messaging::{Error, ErrorKind, Executed, Result};

/// The bytes that a short string may have (AMQP 0-9-1, 4.2.5.3).
const LONGEST: usize = 255;

/// Checks that `text` can be an AMQP short string; `what` names it in the error.
///
/// Executed is `No`: it is called before anything is sent.
///
/// Fails with [`ErrorKind::TooLarge`] over 255 bytes, where lapin's own conversion would panic.
pub(crate) fn check_name(what: &'static str, text: &str) -> Result<()> {
    if text.len() <= LONGEST {
        return Ok(());
    }
    Err(Error::new(ErrorKind::TooLarge, "name")
        .with_executed(Executed::No)
        .with_context("what", what)
        .with_context("bytes", text.len())
        .with_context("limit", LONGEST))
}

/// `text` as an AMQP short string; `what` names it in the error.
///
/// Fails with [`ErrorKind::TooLarge`] over 255 bytes.
pub(crate) fn short_string(what: &'static str, text: &str) -> Result<ShortString> {
    check_name(what, text)?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_256_bytes_is_refused() {
        assert!(short_string("queue", &"a".repeat(255)).is_ok());
        let error = short_string("queue", &"a".repeat(256)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }
}
