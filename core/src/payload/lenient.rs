//! JSON as the reference can write it, for a parser that is stricter than Python's.
//!
//! Python's `json` writes `NaN`, `Infinity` and lone surrogates, which are not JSON. The text is parsed strictly
//! first; only if that fails is it rewritten and parsed again, so valid JSON costs nothing extra.

use std::borrow::Cow;
use std::str;

use bytes::Bytes;

use crate::{Error, ErrorKind, Result};

/// Reads `text` as it is and, if that fails and [`rewrite`] has anything to change, once more after that.
///
/// `parse` is given the text and the buffer it lies in, for slices. Fails with [`ErrorKind::Decode`].
pub(crate) fn read<T>(
    operation: &'static str,
    text: &Bytes,
    parse: impl Fn(&Bytes, &str) -> serde_json::Result<T>,
) -> Result<T> {
    let failed = |error: serde_json::Error| Error::new(ErrorKind::Decode, operation).with_source(error);
    // Checked once for the whole text; the parser would check each string again.
    let strict = str::from_utf8(text).map_err(|error| Error::new(ErrorKind::Decode, operation).with_source(error))?;
    parse(text, strict).or_else(|error| match rewrite(strict) {
        Cow::Borrowed(_) => Err(failed(error)),
        Cow::Owned(plain) => {
            let plain = Bytes::from(plain);
            let text = str::from_utf8(&plain).expect("it was a String just now");
            parse(&plain, text).map_err(failed)
        }
    })
}

/// Makes JSON of what only Python writes: `NaN`, `Infinity` and `-Infinity` become `null`, an escaped surrogate without
/// its other half becomes U+FFFD. Borrowed if there is none.
///
/// What is wrong in another way stays so, for the parser to say. One pass, whatever the nesting.
pub(crate) fn rewrite(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut plain = String::new();
    let mut copied = 0;
    let mut at = 0;
    let mut in_string = false;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let (length, instead) = match rest[0] {
            // Anywhere: outside of a string it is an error, and stays one.
            b'\\' => escape(rest),
            b'"' => {
                in_string = !in_string;
                (1, None)
            }
            // A number that begins with `-` reaches this too and is left as it is.
            b'N' | b'I' | b'-' if !in_string => non_finite(rest),
            _ => (1, None),
        };
        if let Some(instead) = instead {
            plain.push_str(&text[copied..at]);
            plain.push_str(instead);
            copied = at + length;
        }
        at += length;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    plain.push_str(&text[copied..]);
    Cow::Owned(plain)
}

/// How long the number at the start is, and what to write instead.
fn non_finite(rest: &[u8]) -> (usize, Option<&'static str>) {
    let name = [&b"NaN"[..], b"Infinity", b"-Infinity"].into_iter().find(|name| rest.starts_with(name));
    name.map_or((1, None), |name| (name.len(), Some("null")))
}

/// How long the escape at the start is, and what to write instead.
///
/// A high surrogate before a low one is a pair and stays; any other surrogate becomes U+FFFD.
fn escape(rest: &[u8]) -> (usize, Option<&'static str>) {
    match unit(rest) {
        Some(0xD800..=0xDBFF) if matches!(unit(&rest[6..]), Some(0xDC00..=0xDFFF)) => (12, None),
        Some(0xD800..=0xDFFF) => (6, Some("\u{FFFD}")),
        Some(_) => (6, None),
        // Two bytes even if the second begins a longer character: what follows a backslash then is an error anyway.
        None => (2, None),
    }
}

/// The UTF-16 code unit of a `\uXXXX` at the start.
///
/// `None` if there is no such escape, or fewer than four hexadecimal digits.
fn unit(rest: &[u8]) -> Option<u16> {
    let digits = rest.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit: u16, digit| {
        let value = char::from(*digit).to_digit(16)?;
        Some((unit << 4) | u16::try_from(value).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn non_finite_numbers_become_null_and_text_that_names_them_stays() {
        assert_eq!(
            rewrite(r#"{"NaN": NaN, "b": [Infinity,-Infinity], "-Infinity":-1}"#),
            r#"{"NaN": null, "b": [null,null], "-Infinity":-1}"#
        );
    }

    #[test]
    fn lone_surrogates_become_the_replacement_character_and_pairs_stay() {
        for (text, plain) in [
            (r#""a\ud800b""#, "\"a\u{FFFD}b\""),
            (r#""\uDC00""#, "\"\u{FFFD}\""),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ud83d\ud83d\ude00""#, "\"\u{FFFD}\\ud83d\\ude00\""),
            (r#""\ud83dx\ude00""#, "\"\u{FFFD}x\u{FFFD}\""),
            (r#""\\ud800""#, r#""\\ud800""#),
            (r#""\\\ud800""#, "\"\\\\\u{FFFD}\""),
        ] {
            assert_eq!(rewrite(text), plain, "{text}");
        }
    }

    #[test]
    fn nothing_to_change_costs_no_copy() {
        assert!(matches!(rewrite(r#"{"a": "N\n\u00fcI", "n": -1}"#), Cow::Borrowed(_)));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let error = read("decode", &Bytes::from_static(b"\"\xff\""), |_, _| Ok(())).expect_err("not UTF-8");
        assert_eq!(error.kind(), ErrorKind::Decode);
    }

    proptest! {
        #[test]
        fn whatever_the_text_it_is_rewritten_once_and_for_all(text in r#"([\\"uNIna-fA-F0-9é-]|NaN|Infinity|\\ud[89cd]00){0,40}"#) {
            let once = rewrite(&text).into_owned();
            prop_assert_eq!(rewrite(&once), once.as_str());
        }
    }
}
