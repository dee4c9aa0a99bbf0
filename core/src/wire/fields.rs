//! A JSON object as the ordered list of its fields, each still text.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The fields of one object in the order they were written, repeated ones included.
///
/// `#[serde(flatten)]` cannot do this: it buffers, and a `RawValue` does not survive that.
#[derive(Debug)]
pub(crate) struct Fields<'de>(pub(crate) Vec<(Cow<'de, str>, &'de RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// The text in `value`.
pub(crate) fn text(value: &RawValue) -> serde_json::Result<String> {
    serde_json::from_str(value.get())
}

/// The text in `value`; `null` is none.
pub(crate) fn optional_text(value: &RawValue) -> serde_json::Result<Option<String>> {
    serde_json::from_str(value.get())
}

/// The value as a `T`, or nothing if it is none: for fields that are not worth losing a message.
pub(crate) fn tolerant<'de, T: Deserialize<'de>>(value: &'de RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

/// What a required field must be there for.
pub(crate) fn required<T>(name: &'static str, field: Option<T>) -> serde_json::Result<T> {
    field.ok_or_else(|| serde_json::Error::missing_field(name))
}

/// Keeps of each name the last value at the place of the first, as a Python dictionary does.
pub(crate) fn last_wins<T>(fields: Vec<(String, T)>) -> Vec<(String, T)> {
    // Sorted, not searched: the sender chooses how many there are.
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if names.windows(2).all(|pair| pair[0] != pair[1]) {
        return fields;
    }
    let mut places = HashMap::with_capacity(fields.len());
    let mut unique: Vec<(String, T)> = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let place = *places.entry(name.clone()).or_insert(unique.len());
        match unique.get_mut(place) {
            Some(earlier) => earlier.1 = value,
            None => unique.push((name, value)),
        }
    }
    unique
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(16);
        while let Some(Name(name)) = map.next_key()? {
            fields.push((name, map.next_value()?));
        }
        Ok(Fields(fields))
    }
}

/// A name that is borrowed where it can be; a plain `Cow` never is.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Name(Cow::Borrowed(name)))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Name(Cow::Owned(name.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_their_text() {
        let Fields(fields) = serde_json::from_str(r#"{"b": 1e400, "\u0061": [1, 2], "b": {"c" :null}}"#).unwrap();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_ref(), value.get())).collect();
        assert_eq!(fields, [("b", "1e400"), ("a", "[1, 2]"), ("b", r#"{"c" :null}"#)]);
    }

    #[test]
    fn a_repeated_name_has_its_last_value_at_its_first_place() {
        let named = |pairs: &[(&str, u8)]| pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<Vec<_>>();
        assert_eq!(
            last_wins(named(&[("a", 1), ("b", 2), ("a", 3), ("c", 4), ("a", 5)])),
            named(&[("a", 5), ("b", 2), ("c", 4)])
        );
        assert_eq!(last_wins(named(&[("b", 1), ("a", 2)])), named(&[("b", 1), ("a", 2)]));
    }
}
