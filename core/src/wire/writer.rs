//! JSON objects written into one buffer, also inside the strings of other JSON.
//!
//! The content of an envelope is JSON inside a JSON string, and a failure inside a reply is one level deeper. The
//! writer knows its level: the names and quotes that it writes itself come with the backslashes of that level, so only
//! values are searched for what needs an escape.
//!
//! Non-ASCII text is written as UTF-8. Python escapes it by default, and reads both.

use std::borrow::Cow;
use std::fmt;
use std::io::Write;

use memchr::memchr2;

use super::scan::{has_controls, needs_escape};
use crate::Payload;

/// A quote as it stands on each level: of the outermost object, of JSON in a string, and of JSON in a string of that.
const QUOTES: [&str; 3] = [r#"""#, r#"\""#, r#"\\\""#];

/// Writes one JSON object, field by field, in the order of the calls.
///
/// The names of fields are constants of the wire format, and are written as they are.
#[derive(Debug)]
pub(crate) struct ObjectWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Inside how many strings the object lies.
    level: usize,
    /// What comes before the next field: `{` until there is one, then `,`.
    separator: u8,
}

impl<'a> ObjectWriter<'a> {
    /// An object that nothing is written of yet.
    ///
    /// Writes nothing itself; the brace comes with the first field or with `end`.
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, level: 0, separator: b'{' }
    }

    /// Writes a string, escaped once for itself and once more for each string around the object.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.string(value);
    }

    /// Writes a value that is JSON already, so that only the levels above it escape it.
    ///
    /// Escapes of lone surrogates become U+FFFD, so that every JSON reader takes the text.
    pub(crate) fn json(&mut self, name: &str, value: &Payload) {
        self.name(name);
        escape(self.out, &value.strict(), self.level);
    }

    /// A value that is JSON already, named by two parts, of which the second comes from elsewhere and is escaped.
    pub(crate) fn prefixed(&mut self, prefix: &str, name: &str, value: &Payload) {
        self.begin(prefix, |writer| escape(writer.out, name, writer.level + 1));
        escape(self.out, &value.strict(), self.level);
    }

    /// A number, `true`, `false` or `null`.
    ///
    /// The text is not checked: it must be JSON.
    pub(crate) fn plain(&mut self, name: &str, value: fmt::Arguments<'_>) {
        self.name(name);
        self.out.write_fmt(value).expect("a Vec takes every write");
    }

    /// Writes an array of strings, each of them escaped as by [`text`](Self::text).
    pub(crate) fn texts(&mut self, name: &str, values: &[String]) {
        self.name(name);
        self.push("[");
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.push(",");
            }
            self.string(value);
        }
        self.push("]");
    }

    /// Writes an object as JSON text in a string, which is one level deeper.
    ///
    /// # Panics
    /// If more than two levels are nested: no message has more.
    pub(crate) fn nested(&mut self, name: &str, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        self.name(name);
        self.quote();
        let mut object = ObjectWriter { out: self.out, level: self.level + 1, separator: b'{' };
        write(&mut object);
        object.end();
        self.quote();
    }

    /// Closes the object; one without fields becomes `{}`.
    ///
    /// Without it the object stays open: there is no drop that closes it.
    pub(crate) fn end(self) {
        self.out.extend_from_slice(if self.separator == b'{' { b"{}" } else { b"}" });
    }

    /// Writes the separator, the name and the colon.
    fn name(&mut self, name: &str) {
        self.begin(name, |_| {});
    }

    /// Writes the separator, the name, whose second part is by `rest`, and the colon.
    fn begin(&mut self, name: &str, rest: impl FnOnce(&mut Self)) {
        self.out.push(self.separator);
        self.separator = b',';
        self.quote();
        self.push(name);
        rest(self);
        self.quote();
        self.out.push(b':');
    }

    /// Escapes once more than the level, since the text is in a string of its own.
    fn string(&mut self, value: &str) {
        self.quote();
        escape(self.out, value, self.level + 1);
        self.quote();
    }

    /// A quote of this level, with the backslashes that the strings around it need.
    fn quote(&mut self) {
        self.push(QUOTES[self.level]);
    }

    /// Writes `text` unescaped, so it must not need any escape.
    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}

/// Writes `text` as the inside of a JSON string, of one in such a string, and so on, as often as `times` says.
///
/// Bytes will do: each byte of a character beyond ASCII is above 0x7f and needs no escape.
fn escape(out: &mut Vec<u8>, text: &str, times: usize) {
    // Most texts need none.
    if times == 0 || !needs_escape(text.as_bytes()) {
        return out.extend_from_slice(text.as_bytes());
    }
    let mut text = Cow::Borrowed(text);
    for _ in 1..times {
        let mut once = Vec::with_capacity(text.len() + text.len() / 4);
        escape_once(&mut once, &text);
        text = Cow::Owned(String::from_utf8(once).expect("escapes are ASCII"));
    }
    escape_once(out, &text);
}

/// Copies the runs between two escapes as a whole.
fn escape_once(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    let has_controls = has_controls(rest);
    loop {
        let special = if has_controls {
            rest.iter().position(|byte| replacement(*byte).is_some())
        } else {
            memchr2(b'"', b'\\', rest)
        };
        let Some(at) = special else { return out.extend_from_slice(rest) };
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(replacement(rest[at]).expect("it was found by that").as_bytes());
        rest = &rest[at + 1..];
    }
}

/// What stands for a byte inside a JSON string, if it cannot stand for itself.
fn replacement(byte: u8) -> Option<&'static str> {
    /// Of each control character, by its number.
    const CONTROLS: [&str; 0x20] = [
        "\\u0000", "\\u0001", "\\u0002", "\\u0003", "\\u0004", "\\u0005", "\\u0006", "\\u0007", "\\u0008", "\\t",
        "\\n", "\\u000b", "\\u000c", "\\r", "\\u000e", "\\u000f", "\\u0010", "\\u0011", "\\u0012", "\\u0013",
        "\\u0014", "\\u0015", "\\u0016", "\\u0017", "\\u0018", "\\u0019", "\\u001a", "\\u001b", "\\u001c", "\\u001d",
        "\\u001e", "\\u001f",
    ];
    match byte {
        b'"' => Some("\\\""),
        b'\\' => Some("\\\\"),
        control => CONTROLS.get(usize::from(control)).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(text: &str) -> String {
        let mut out = b"\"".to_vec();
        escape(&mut out, text, 1);
        String::from_utf8(out).unwrap() + "\""
    }

    #[test]
    fn an_object_without_fields_is_an_object() {
        let mut out = Vec::new();
        ObjectWriter::new(&mut out).end();
        assert_eq!(out, b"{}");
    }

    #[test]
    fn every_byte_that_needs_an_escape_has_the_one_of_json() {
        for text in (0..0x80_u8).map(|byte| char::from(byte).to_string()) {
            assert_eq!(serde_json::from_str::<String>(&escaped(&text)).unwrap(), text);
        }
        assert_eq!(escaped("a\"\\\n\r\t\u{1}\u{8}b"), r#""a\"\\\n\r\t\u0001\u0008b""#);
    }

    proptest! {
        #[test]
        fn what_is_escaped_reads_back(text in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&escaped(&text)).unwrap(), text);
        }

        /// Strings of quotes, controls and little else, next to each other and at both ends.
        #[test]
        fn what_is_mostly_escapes_reads_back(text in r#"["\\\n\x00-\x1fa\u{e9}]{0,40}"#) {
            prop_assert_eq!(serde_json::from_str::<String>(&escaped(&text)).unwrap(), text);
        }

        #[test]
        fn an_object_inside_a_string_inside_an_object_reads_back(
            name in r#"["\\\n\x00-\x1fa\u{e9}]{0,8}"#,
            value in r#"["\\\n\x00-\x1fa\u{e9}]{0,20}"#,
        ) {
            let json = Payload::encode(&value).unwrap();
            let mut out = Vec::new();
            let mut outer = ObjectWriter::new(&mut out);
            outer.plain("n", format_args!("{}", 1));
            outer.nested("inner", |inner| {
                inner.prefixed("p", &name, &json);
                inner.nested("third", |third| {
                    third.prefixed("p", &name, &json);
                    third.texts("t", &[value.clone(), String::new()]);
                });
            });
            outer.end();
            let outer: serde_json::Value = serde_json::from_slice(&out).unwrap();
            let inner: serde_json::Value = serde_json::from_str(outer["inner"].as_str().unwrap()).unwrap();
            let third: serde_json::Value = serde_json::from_str(inner["third"].as_str().unwrap()).unwrap();
            prop_assert_eq!(&inner[format!("p{name}")], &value);
            prop_assert_eq!(third, serde_json::json!({ format!("p{name}"): value, "t": [value, ""] }));
        }
    }
}
