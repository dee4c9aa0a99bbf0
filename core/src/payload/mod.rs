//! A JSON value that stays text until it is decoded into a type.
//!
//! Arguments, results and contexts are decoded once, into the type of the method or handler that uses them. Until
//! then they are slices of the received body, so passing them on copies nothing and changes no byte.

pub(crate) mod lenient;

use std::borrow::Cow;
use std::fmt;
use std::str;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use serde_json::value::{RawValue, Value};

use crate::{Error, ErrorKind, Result};

/// The bytes that are reserved for a value before it is written: most arguments and results are not longer.
const USUAL_LENGTH: usize = 512;

/// A JSON value kept as text: valid UTF-8, valid JSON, no blanks around it.
///
/// Cheap to clone; what came in a message is a slice of that message. Integers of any size stay what they are. Two
/// payloads are equal if their texts are. `Debug` shows the length alone, since a payload may hold secrets.
///
/// # What only Python writes
/// The reference emits `NaN`, `Infinity`, `-Infinity` and lone surrogates (`"\ud800"`), which are not JSON. Reading
/// tries the text as it is and only if that fails takes the former as `null`
/// and the latter as U+FFFD. They are never written.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Payload(Bytes);

impl Payload {
    /// The JSON value `null`, without an allocation.
    #[must_use]
    pub const fn null() -> Self {
        Self(Bytes::from_static(b"null"))
    }

    /// Writes `value` as compact JSON text, once: passing the payload on copies nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Encode`] if it has no JSON form, such as a map whose keys are not text.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        let mut text = Vec::with_capacity(USUAL_LENGTH);
        match serde_json::to_writer(&mut text, value) {
            Ok(()) => {
                // A short value would keep the whole reserve for as long as it lives.
                if text.len() < USUAL_LENGTH / 2 {
                    text.shrink_to_fit();
                }
                Ok(Self(text.into()))
            }
            Err(error) => Err(Error::new(ErrorKind::Encode, "encode").with_source(error)),
        }
    }

    /// Writes `value` as the arguments of a method: a JSON object, `{}` for what is written as `null` (so `()`).
    ///
    /// # Errors
    /// [`ErrorKind::Encode`] if it has no JSON form, or one that is neither an object nor `null`.
    pub fn arguments<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        let payload = Self::encode(value)?;
        match payload.shape() {
            "an object" => Ok(payload),
            "null" => Ok(Self::empty_object()),
            other => Err(Error::new(ErrorKind::Encode, "encode arguments").with_source(format!(
                "arguments are passed by name, so they must be a struct, a map with text keys, or (), not {other}"
            ))),
        }
    }

    /// Takes JSON text as it is; what only Python writes is taken too.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if it is not UTF-8 or not one JSON value.
    pub fn from_json(text: impl Into<Bytes>) -> Result<Self> {
        lenient::read("decode", &text.into(), |buffer, text| {
            let value: &RawValue = serde_json::from_str(text)?;
            Ok(Self::slice(buffer, value))
        })
    }

    /// Decodes the text into a `T`. Nothing is cached: each call decodes it once more.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if it does not decode into a `T`, or is nested deeper than 128 levels.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        lenient::read("decode", &self.0, |_, text| serde_json::from_str(text))
    }

    /// Reads the value as the arguments of a method: as [`decode`](Self::decode), and an empty object is also taken
    /// as `null`, so that `()` and `Option` accept it.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if it does not decode into a `T`.
    pub fn decode_arguments<T: DeserializeOwned>(&self) -> Result<T> {
        self.decode()
            // The first error is kept, since it names what the type needs.
            .or_else(|error| if self.is_empty_object() { Self::null().decode().or(Err(error)) } else { Err(error) })
    }

    /// The JSON text, as it arrived or was encoded.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("every constructor was given text")
    }

    /// The JSON text in UTF-8, without a copy.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the text is `null`; nothing is decoded for this.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0 == "null"
    }

    /// `{}`, without an allocation: what a method without arguments gets.
    pub(crate) const fn empty_object() -> Self {
        Self(Bytes::from_static(b"{}"))
    }

    /// `[]`, without an allocation: the arguments of an exception that was made with none.
    pub(crate) const fn empty_array() -> Self {
        Self(Bytes::from_static(b"[]"))
    }

    /// Shares `buffer`. Panics if `value` was not borrowed from its text.
    pub(crate) fn slice(buffer: &Bytes, value: &RawValue) -> Self {
        Self(buffer.slice_ref(value.get().as_bytes()))
    }

    /// The same value in a buffer of just its length: a slice would keep the whole message that it came in.
    pub(crate) fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    /// The text in the form that every JSON reader takes.
    pub(crate) fn strict(&self) -> Cow<'_, str> {
        // The text is valid JSON but for lone surrogates, and those are escapes.
        let text = self.as_str();
        if text.contains('\\') { lenient::rewrite(text) } else { Cow::Borrowed(text) }
    }

    /// What kind of value it is in words, for an error; the first byte decides.
    pub(crate) fn shape(&self) -> &'static str {
        match self.0.first() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b'n') => "null",
            Some(b't' | b'f') => "a boolean",
            _ => "a number",
        }
    }

    /// Blanks between the braces do not matter: the text is as its sender wrote it.
    fn is_empty_object(&self) -> bool {
        let inside = self.as_str().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        inside.is_some_and(|inside| inside.trim().is_empty())
    }
}

impl Default for Payload {
    /// `null`, since an empty text would not be JSON.
    fn default() -> Self {
        Self::null()
    }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        Self(value.to_string().into())
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

impl Serialize for Payload {
    /// Writes the text unchanged, so only serializers of `serde_json` take it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.strict();
        let value: &RawValue = serde_json::from_str(&text).map_err(ser::Error::custom)?;
        value.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    /// Keeps the text, so only deserializers of `serde_json` can give it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(Bytes::from(String::from(Box::<str>::from(value)))))
    }
}

#[cfg(test)]
mod tests;
