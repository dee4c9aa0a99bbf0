//! A JSON object as the ordered list of its fields, each still text.
//!
//! `serde_json` would build a map of the values; the wire code needs the order, the raw text of each value, and a
//! limit on the number of fields that a peer can make it hold.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

use serde::de::{self, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::unescape::unescaped;

/// The most fields that an object on the wire may have.
/// A field of 10 bytes costs 150 here, so they and not the bytes decide what a content costs.
const MOST: usize = 65_536;
/// Repeated fields are looked for from this many on, while more are read.
const MANY: usize = 64;

/// The fields of one object in the order they were written, at most `MOST` of different names.
///
/// Of many repeated ones only the last is kept, in the place of the first, so that they cost no memory; of a few, all.
///
/// `#[serde(flatten)]` cannot do this: it buffers, and a `RawValue` does not survive that.
#[derive(Debug)]
pub(crate) struct Fields<'de, const MOST: usize = { self::MOST }>(pub(crate) Vec<(Cow<'de, str>, &'de RawValue)>);

impl<'de, const MOST: usize> Deserialize<'de> for Fields<'de, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor::<MOST>)
    }
}

/// The text in `value`; a parser is needed only for escapes of the form `\uXXXX`.
///
/// Errors: if it is another kind of value, or has half of a surrogate pair.
pub(crate) fn text(value: &RawValue) -> serde_json::Result<String> {
    let json = value.get();
    let inside = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inside.and_then(unescaped) {
        Some(text) => Ok(text.into_owned()),
        None => serde_json::from_str(json),
    }
}

/// The text in `value`; `None` for `null`.
///
/// Errors: as [`text`]: a number or an object is an error, and not the same as none.
pub(crate) fn optional_text(value: &RawValue) -> serde_json::Result<Option<String>> {
    if value.get() == "null" { Ok(None) } else { text(value).map(Some) }
}

/// The text in `value`, or `None` for another kind of value: for fields that are not worth losing a message.
///
/// The reference does not check types, so a wrong one in a minor field must not lose the message.
pub(crate) fn tolerant_text(value: &RawValue) -> Option<String> {
    text(value).ok()
}

/// As [`tolerant_text`], for a value of another type.
pub(crate) fn tolerant<'de, T: Deserialize<'de>>(value: &'de RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

/// Refuses a message that lacks the field `name`.
///
/// Errors: the error of `serde` for a missing field of this name.
pub(crate) fn required<T>(name: &'static str, field: Option<T>) -> serde_json::Result<T> {
    field.ok_or_else(|| serde_json::Error::missing_field(name))
}

/// Keeps of each name the last value at the place of the first, as a Python dictionary does.
pub(crate) fn last_wins<N: AsRef<str> + Clone + Eq + Hash, T>(fields: Vec<(N, T)>) -> Vec<(N, T)> {
    // Sorted, not searched: the sender chooses how many there are.
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    // The common case: nothing is repeated, and the fields are returned as they are.
    if names.windows(2).all(|pair| pair[0] != pair[1]) {
        return fields;
    }
    let mut places = HashMap::new();
    let mut unique: Vec<(N, T)> = Vec::new();
    for (name, value) in fields {
        let place = *places.entry(name.clone()).or_insert(unique.len());
        match unique.get_mut(place) {
            Some(earlier) => earlier.1 = value,
            None => unique.push((name, value)),
        }
    }
    unique
}

/// Removes repetitions whenever the number of fields has doubled, so that repeated names cannot exhaust the memory.
struct FieldsVisitor<const MOST: usize>;

impl<'de, const MOST: usize> Visitor<'de> for FieldsVisitor<MOST> {
    type Value = Fields<'de, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(16);
        let mut many = MANY;
        while let Some(Name(name)) = map.next_key()? {
            fields.push((name, map.next_value()?));
            // Each look costs what was read since the last one, so that all of them are linear.
            if fields.len() >= many {
                fields = distinct(fields, MOST)?;
                many = MANY.max(fields.len().saturating_mul(2));
            }
        }
        Ok(Fields(if fields.len() > MOST { distinct(fields, MOST)? } else { fields }))
    }
}

/// Of each name the last value, if there are at most `most` names.
///
/// Errors: if there are more than `most` names, so that a peer cannot fill the memory with them.
fn distinct<N: AsRef<str> + Clone + Eq + Hash, T, E: de::Error>(
    fields: Vec<(N, T)>,
    most: usize,
) -> Result<Vec<(N, T)>, E> {
    let fields = last_wins(fields);
    if fields.len() > most {
        return Err(E::custom(format_args!("an object of more than {most} fields")));
    }
    Ok(fields)
}

/// A name that is borrowed where it can be; a plain `Cow` never is.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

/// Borrows a name without escapes from the text, and owns one with escapes.
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
    use proptest::prelude::*;

    #[test]
    fn fields_keep_their_order_and_their_text() {
        let Fields(fields) =
            serde_json::from_str::<Fields<'_>>(r#"{"b": 1e400, "\u0061": [1, 2], "b": {"c" :null}}"#).unwrap();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_ref(), value.get())).collect();
        assert_eq!(fields, [("b", "1e400"), ("a", "[1, 2]"), ("b", r#"{"c" :null}"#)]);
    }

    proptest! {
        #[test]
        fn text_is_what_the_parser_reads(json in r#""([a\u{e9}"\\]|\\["\\/bfnrtu]|\\u00e9|\\ud83d|\\ude00){0,12}"|null|7"#) {
            let Ok(value) = serde_json::from_str::<&RawValue>(&json) else { return Ok(()) };
            prop_assert_eq!(text(value).ok(), serde_json::from_str::<String>(&json).ok());
            prop_assert_eq!(optional_text(value).ok(), serde_json::from_str::<Option<String>>(&json).ok());
        }
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

    /// An object of `count` fields, named by `name`.
    fn object(count: usize, name: impl Fn(usize) -> usize) -> String {
        let fields: Vec<_> = (0..count).map(|number| format!("\"n{}\":{number}", name(number))).collect();
        format!("{{{}}}", fields.join(","))
    }

    #[test]
    fn of_a_name_that_is_repeated_without_end_little_is_kept() {
        let text = object(1_000_000, |number| number % 10);
        let Fields(fields): Fields<'_> = serde_json::from_str(&text).unwrap();
        assert!(fields.len() <= 2 * MANY && fields.capacity() <= 4 * MANY, "{} fields", fields.len());
        let kept: Vec<_> = last_wins(fields).iter().map(|(name, value)| format!("{name} {}", value.get())).collect();
        assert_eq!(kept[..2], ["n0 999990", "n1 999991"]);
        assert_eq!(kept.len(), 10);
    }

    #[test]
    fn an_object_has_so_many_fields_and_no_more() {
        let read = |count, names| serde_json::from_str::<Fields<'_>>(&object(count, |number| number % names)).map(drop);
        read(MOST, MOST).unwrap();
        read(3 * MOST, MOST).unwrap();
        for count in [MOST + 1, 3 * MOST] {
            let error = read(count, count).unwrap_err().to_string();
            assert!(error.contains("more than 65536 fields"), "{error}");
        }
    }
}
