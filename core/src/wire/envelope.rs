//! The envelope: the content as JSON text inside a JSON string.
//!
//! Version 2.0 of the envelope is the only one that the reference writes (`_drivers/common.py`, `serialize_msg`); a
//! body without both of its fields is content in the first format.

use std::borrow::Cow;
use std::{fmt, str};

use bytes::Bytes;

use super::fields::{Fields, last_wins};
use super::unescape::unescaped;
use super::writer::ObjectWriter;
use super::{compression, fields};
use crate::driver::Message;
use crate::payload::lenient;
use crate::version::{Version, is_compatible};
use crate::{Error, ErrorKind, Payload, Result};

/// The key of the version; a body without it is content in the first format.
const VERSION_FIELD: &str = "oslo.version";
/// The key of the content, which is JSON text in a string.
const MESSAGE_FIELD: &str = "oslo.message";
/// How the bodies of this library begin, and those of Python's `json`.
const USUAL_HEADS: [&str; 2] =
    [r#"{"oslo.version":"2.0","oslo.message":""#, r#"{"oslo.version": "2.0", "oslo.message": ""#];
/// The version that is written, and the newest that is read.
const VERSION: Version = Version::new(2, 0);

/// The two formats of a body, both of which are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// The body is the content. Notifications of the driver `messaging` are so.
    V1,
    /// The body is `{"oslo.version": "2.0", "oslo.message": "<the content as JSON text>"}`. All else is so.
    V2,
}

/// The content of a message, out of its compression and its envelope, not yet read.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    format: Format,
    /// The content as JSON text; of the first format a slice of the body.
    content: Bytes,
}

impl Envelope {
    /// Opens `message`, in either format: the second has both fields of an envelope, the first has not
    /// (oslo.messaging 18.3.1, `_drivers/common.py:deserialize_msg`).
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if the body is not one JSON object of at most 65,536 fields or its compression is wrong,
    /// [`ErrorKind::TooLarge`] if it decompresses to over [`compression::LIMIT`], [`ErrorKind::UnsupportedVersion`] if
    /// the envelope is of a version other than 2.0.
    pub fn open(message: &Message) -> Result<Self> {
        Self::of_body(&compression::body(message)?)
    }

    /// As [`open`](Self::open), of a body that is decompressed.
    pub(crate) fn of_body(body: &Bytes) -> Result<Self> {
        if let Some(content) = str::from_utf8(body).ok().and_then(usual_content) {
            return Ok(Self { format: Format::V2, content: content.into() });
        }
        let opened = lenient::read("open envelope", body, |body, text| {
            let Fields(fields): Fields<'_> = serde_json::from_str(text)?;
            let (mut version, mut content) = (None, None);
            for (name, value) in fields {
                match name.as_ref() {
                    VERSION_FIELD => version = Some(value),
                    MESSAGE_FIELD => content = Some(value),
                    _ => {}
                }
            }
            // The reference decides the same way: without both keys the body is the content.
            let (Some(version), Some(content)) = (version, content) else { return Ok((None, body.clone())) };
            Ok((Some(fields::text(version)?), fields::text(content)?.into()))
        })?;
        match opened {
            (None, content) => Ok(Self { format: Format::V1, content }),
            (Some(version), content) => {
                check(&version)?;
                Ok(Self { format: Format::V2, content })
            }
        }
    }

    /// The format of the body, which a reply need not share.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The fields of the content in their order; of a repeated one the last value.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if the content is not one JSON object of at most 65,536 fields.
    pub fn fields(&self) -> Result<Vec<(String, Payload)>> {
        self.read("read content", |buffer, Fields(fields)| {
            let named = |(name, value): (_, _)| (String::from(name), Payload::slice(buffer, value));
            Ok(last_wins(fields.into_iter().map(named).collect()))
        })
    }

    /// Reads the fields of the content; `parse` may run twice.
    ///
    /// Errors: `Decode` if the content is not an object, has too many fields, or `parse` fails.
    pub(crate) fn read<T>(
        &self,
        operation: &'static str,
        parse: impl Fn(&Bytes, Fields<'_>) -> serde_json::Result<T>,
    ) -> Result<T> {
        lenient::read(operation, &self.content, |buffer, text| parse(buffer, serde_json::from_str(text)?))
    }
}

impl fmt::Debug for Envelope {
    /// Shows the length of the content alone, since it may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").field("format", &self.format).field("length", &self.content.len()).finish()
    }
}

/// The content of a body that is written as peers write it: the two fields in their order, and nothing else.
///
/// `None` for every other body, which a parser then reads.
fn usual_content(body: &str) -> Option<String> {
    let inside = USUAL_HEADS.iter().find_map(|head| body.strip_prefix(head))?.strip_suffix("\"}")?;
    unescaped(inside).map(Cow::into_owned)
}

/// Writes a body in the second format, its content by `write`; about `length` bytes of it.
pub(crate) fn seal(length: usize, write: impl FnOnce(&mut ObjectWriter<'_>)) -> Bytes {
    // The quarter is for the backslashes that escaping adds.
    let mut body = Vec::with_capacity(64 + length + length / 4);
    let mut envelope = ObjectWriter::new(&mut body);
    envelope.text(VERSION_FIELD, "2.0");
    envelope.nested(MESSAGE_FIELD, write);
    envelope.end();
    body.into()
}

/// Writes a body in the first format, which is the content itself; about `length` bytes of it.
pub(crate) fn bare(length: usize, write: impl FnOnce(&mut ObjectWriter<'_>)) -> Bytes {
    let mut body = Vec::with_capacity(length);
    let mut content = ObjectWriter::new(&mut body);
    write(&mut content);
    content.end();
    body.into()
}

/// Accepts what 2.0 serves: 2.0 alone.
///
/// Errors: `UnsupportedVersion`, with both versions. The reference raises `UnsupportedRpcEnvelopeVersion` there.
fn check(version: &str) -> Result<()> {
    // A version that does not parse is refused like a wrong one.
    let requested = version.parse::<Version>().ok();
    if requested.is_some_and(|requested| is_compatible(Some(&VERSION), Some(&requested))) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::UnsupportedVersion, "open envelope")
        .with_context("version", version)
        .with_context("supported", VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As [`Envelope::of_body`] reads a body that is not written as peers write it.
    fn parsed(body: &str) -> Option<(String, String)> {
        let Fields(fields): Fields<'_> = serde_json::from_str(body).ok()?;
        let field =
            |name| fields.iter().rev().find(|(found, _)| found == name).and_then(|(_, value)| fields::text(value).ok());
        Some((field(VERSION_FIELD)?, field(MESSAGE_FIELD)?))
    }

    #[test]
    fn bodies_of_this_library_and_of_python_are_read_without_a_parser() {
        let ours = seal(0, |out| out.text("method", "say \"so\""));
        let python = r#"{"oslo.version": "2.0", "oslo.message": "{\"method\": \"café\"}"}"#;
        for (body, content) in
            [(str::from_utf8(&ours).unwrap(), r#"{"method":"say \"so\""}"#), (python, r#"{"method": "café"}"#)]
        {
            assert_eq!(usual_content(body).as_deref(), Some(content));
        }
    }

    proptest! {
        /// Bodies that begin as peers write them, and go on as they like.
        #[test]
        fn a_content_that_is_read_without_a_parser_is_the_one_that_the_parser_reads(
            head in 0..USUAL_HEADS.len(),
            rest in r#"([{}:, a"\\\n]|\\["\\/bfnrtux]|\\u00e9|","oslo.message":"){0,12}"#,
            tail in r#"("\}|"\} |"|\}|)"#,
        ) {
            let body = format!("{}{rest}{tail}", USUAL_HEADS[head]);
            if let Some(content) = usual_content(&body) {
                prop_assert_eq!(Some(("2.0".to_owned(), content)), parsed(&body));
            }
        }
    }
}
