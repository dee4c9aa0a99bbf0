//! The text of JSON strings without a parser.
//!
//! A content is one long string with some fifty escapes, and each field of it is a string of its own. A parser looks at
//! each of their bytes, and once more to find their ends; here the bytes between two escapes are copied at once.

use std::borrow::Cow;

use memchr::memchr2;

use super::scan::has_controls;

/// The text whose JSON string has `inside` between its quotes; borrowed if there is no escape.
///
/// `None` if it is not the inside of a JSON string,
/// or has an escape of the form `\uXXXX`. A parser then says what it is.
pub(super) fn unescaped(inside: &str) -> Option<Cow<'_, str>> {
    if has_controls(inside.as_bytes()) {
        return None;
    }
    let mut rest = inside;
    let mut text = String::new();
    while let Some(at) = memchr2(b'"', b'\\', rest.as_bytes()) {
        // A quote would have ended the string.
        let escape = rest.as_bytes().get(at + 1).filter(|_| rest.as_bytes()[at] == b'\\')?;
        let character = match *escape {
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            _ => return None,
        };
        if text.is_empty() {
            text.reserve_exact(rest.len());
        }
        text.push_str(&rest[..at]);
        text.push(character);
        rest = &rest[at + 2..];
    }
    if text.is_empty() {
        return Some(Cow::Borrowed(rest));
    }
    text.push_str(rest);
    Some(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What is no string is left to the parser, and so is what has longer escapes.
        #[test]
        fn the_text_is_what_the_parser_reads(inside in r#"([ a\u{e9}"\\\n\t]|\\["\\/bfnrtux]|\\u00e9){0,12}"#) {
            let parsed = serde_json::from_str::<String>(&format!("\"{inside}\"")).ok();
            match unescaped(&inside) {
                Some(text) => prop_assert_eq!(Some(text.into_owned()), parsed),
                None => prop_assert!(parsed.is_none() || inside.contains("\\u")),
            }
        }
    }
}
