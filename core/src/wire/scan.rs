//! Whether a text has bytes that JSON strings escape.
//!
//! Without a branch for each byte, so that the compiler makes vector instructions of the loops.

/// Whether `text` has a control character, which a JSON string never has as it is.
pub(super) fn has_controls(text: &[u8]) -> bool {
    text.iter().fold(0, |found, byte| found | u8::from(*byte < 0x20)) > 0
}

/// Whether `text` has anything that needs an escape: a control character, a quote or a backslash.
pub(super) fn needs_escape(text: &[u8]) -> bool {
    let special = |byte: u8| u8::from(byte < 0x20) | u8::from(byte == b'"') | u8::from(byte == b'\\');
    text.iter().fold(0, |found, byte| found | special(*byte)) > 0
}
