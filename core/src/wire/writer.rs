//! JSON objects written to text, also inside the strings of other JSON, in one pass.
//!
//! The content of an envelope is JSON inside a JSON string, and a failure inside a reply is one level deeper. The
//! writer escapes while it writes, so no level is built as a separate string.
//!
//! Non-ASCII text is written as UTF-8. Python escapes it by default, and reads both.

use std::fmt::{self, Display, Write};

use crate::Payload;

/// Writes one JSON object, field by field, in the order of the calls.
#[derive(Debug)]
pub(crate) struct ObjectWriter<'a, W> {
    /// The text, or an `Escape` around it.
    out: &'a mut W,
    /// What comes before the next field: `{` until there is one, then `,`.
    separator: char,
}

impl<'a, W: Write> ObjectWriter<'a, W> {
    /// An object that nothing is written of yet.
    ///
    /// Writes nothing itself; the brace comes with the first field or with `end`.
    pub(crate) fn new(out: &'a mut W) -> Self {
        Self { out, separator: '{' }
    }

    /// A string.
    pub(crate) fn text(&mut self, name: &str, value: &str) -> fmt::Result {
        self.name("", name)?;
        self.string(value)
    }

    /// A value that is JSON already.
    ///
    /// Escapes of lone surrogates become U+FFFD, so that every JSON reader takes the text.
    pub(crate) fn json(&mut self, name: &str, value: &Payload) -> fmt::Result {
        self.prefixed("", name, value)
    }

    /// A value that is JSON already, named by two parts.
    ///
    /// The prefix is written as it is, so it must not need escaping.
    pub(crate) fn prefixed(&mut self, prefix: &str, name: &str, value: &Payload) -> fmt::Result {
        self.name(prefix, name)?;
        self.out.write_str(&value.strict())
    }

    /// A number, `true`, `false` or `null`.
    ///
    /// The text is not checked: it must be JSON.
    pub(crate) fn plain(&mut self, name: &str, value: impl Display) -> fmt::Result {
        self.name("", name)?;
        write!(self.out, "{value}")
    }

    /// An array of strings.
    pub(crate) fn texts(&mut self, name: &str, values: &[String]) -> fmt::Result {
        self.name("", name)?;
        self.out.write_char('[')?;
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.out.write_char(',')?;
            }
            self.string(value)?;
        }
        self.out.write_char(']')
    }

    /// An object, as JSON text in a string.
    ///
    /// Levels may be nested: each one escapes what the inner one wrote.
    pub(crate) fn nested(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut ObjectWriter<'_, Escape<'_, W>>) -> fmt::Result,
    ) -> fmt::Result {
        self.name("", name)?;
        self.out.write_char('"')?;
        let mut escape = Escape(&mut *self.out);
        let mut object = ObjectWriter::new(&mut escape);
        write(&mut object)?;
        object.end()?;
        self.out.write_char('"')
    }

    /// Closes the object.
    ///
    /// Without it the object stays open: there is no drop that closes it.
    pub(crate) fn end(self) -> fmt::Result {
        self.out.write_str(if self.separator == '{' { "{}" } else { "}" })
    }

    /// Writes the separator, the two parts as one name, and the colon.
    fn name(&mut self, prefix: &str, name: &str) -> fmt::Result {
        self.out.write_char(self.separator)?;
        self.separator = ',';
        self.out.write_char('"')?;
        self.out.write_str(prefix)?;
        Escape(&mut *self.out).write_str(name)?;
        self.out.write_str("\":")
    }

    fn string(&mut self, value: &str) -> fmt::Result {
        self.out.write_char('"')?;
        Escape(&mut *self.out).write_str(value)?;
        self.out.write_char('"')
    }
}

/// What is written to it becomes the inside of a JSON string. Nests.
#[derive(Debug)]
pub(crate) struct Escape<'a, W>(&'a mut W);

impl<W: Write> Write for Escape<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        // Bytes will do: each byte of a longer character is above 0x7f and needs no escape.
        while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20)) {
            // An empty write would cost a call on each level.
            if at > 0 {
                self.0.write_str(&rest[..at])?;
            }
            match rest.as_bytes()[at] {
                b'"' => self.0.write_str("\\\"")?,
                b'\\' => self.0.write_str("\\\\")?,
                b'\n' => self.0.write_str("\\n")?,
                b'\r' => self.0.write_str("\\r")?,
                b'\t' => self.0.write_str("\\t")?,
                control => write!(self.0, "\\u{control:04x}")?,
            }
            rest = &rest[at + 1..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(text: &str) -> String {
        let mut out = String::from("\"");
        Escape(&mut out).write_str(text).unwrap();
        out + "\""
    }

    #[test]
    fn an_object_without_fields_is_an_object() {
        let mut out = String::new();
        ObjectWriter::new(&mut out).end().unwrap();
        assert_eq!(out, "{}");
    }

    proptest! {
        #[test]
        fn what_is_escaped_reads_back(text in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&escaped(&text)).unwrap(), text);
        }

        #[test]
        fn an_object_inside_a_string_inside_an_object_reads_back(name in any::<String>(), value in any::<String>()) {
            let mut out = String::new();
            let mut outer = ObjectWriter::new(&mut out);
            outer.plain("n", 1).unwrap();
            outer.nested("inner", |inner| inner.nested(&name, |third| third.texts("t", &[value.clone(), String::new()]))).unwrap();
            outer.end().unwrap();
            let outer: serde_json::Value = serde_json::from_str(&out).unwrap();
            let inner: serde_json::Value = serde_json::from_str(outer["inner"].as_str().unwrap()).unwrap();
            let third: serde_json::Value = serde_json::from_str(inner[&name].as_str().unwrap()).unwrap();
            prop_assert_eq!(third, serde_json::json!({ "t": [value, ""] }));
        }
    }
}
