//! Programs as JSON: how a report prints one, and how a replay reads it.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// Writes `value` as one line of JSON without what reads back as its default: `null`, `false` and empty lists.
///
/// Fails if the value has no JSON, or the formatter fails.
pub(super) fn write(f: &mut fmt::Formatter<'_>, value: &impl Serialize) -> fmt::Result {
    let mut value = serde_json::to_value(value).map_err(|_| fmt::Error)?;
    drop_defaults(&mut value);
    write!(f, "{value}")
}

/// Recursive. `true`, numbers and texts always stay.
/// Only object fields are removed: an element of a list keeps its place.
fn drop_defaults(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(drop_defaults);
            fields.retain(|_, value| {
                let is_empty = value.as_array().is_some_and(Vec::is_empty);
                !is_empty && !value.is_null() && *value != Value::Bool(false)
            });
        }
        Value::Array(items) => items.iter_mut().for_each(drop_defaults),
        _ => {}
    }
}

/// Implements `Display` as one line of JSON, which reads back as the same value.
macro_rules! display_as_json {
    ($($type:ty),+) => {$(
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::programs::json::write(f, self)
            }
        }
    )+};
}
pub(super) use display_as_json;
