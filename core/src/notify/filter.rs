//! Which events an endpoint wants, by regular expressions.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use super::Event;
use crate::{Error, ErrorKind, Result};

/// Which events an endpoint wants: every condition must hold.
///
/// Each is a regular expression that must match from the beginning of the text, and need not reach its end, as the
/// reference's do (oslo.messaging `notify/filter.py`, Python's `re.match`): end it with `$` to match the whole. What is
/// missing, or is not text, matches nothing.
/// The syntax is that of the `regex` crate: Python's without look-around and back references.
///
/// ```
/// use oslo_messaging::notify::NotificationFilter;
///
/// # fn main() -> oslo_messaging::Result<()> {
/// let active = NotificationFilter::new().publisher_id("compute")?.event_type(r"compute\.instance\.")?.payload("state", "active$")?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct NotificationFilter {
    /// `None` passes every publisher; an empty id passes only then.
    publisher_id: Option<Regex>,
    event_type: Option<Regex>,
    /// Every name must be in the context, as text that matches.
    context: BTreeMap<String, Regex>,
    metadata: BTreeMap<String, Regex>,
    payload: BTreeMap<String, Regex>,
}

impl NotificationFilter {
    /// A filter that every event passes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Passes only events whose `publisher_id` matches; a second call replaces the first.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if `regex` is not a regular expression.
    pub fn publisher_id(mut self, regex: &str) -> Result<Self> {
        self.publisher_id = Some(compile(regex)?);
        Ok(self)
    }

    /// Passes only events whose type matches; a second call replaces the first.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if `regex` is not a regular expression.
    pub fn event_type(mut self, regex: &str) -> Result<Self> {
        self.event_type = Some(compile(regex)?);
        Ok(self)
    }

    /// Passes only events whose context has text under `name` that matches. Several names must all match.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if `regex` is not a regular expression.
    pub fn context(mut self, name: impl Into<String>, regex: &str) -> Result<Self> {
        self.context.insert(name.into(), compile(regex)?);
        Ok(self)
    }

    /// Passes only events whose `message_id` or `timestamp` matches. With another `name` no event passes.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if `regex` is not a regular expression.
    pub fn metadata(mut self, name: impl Into<String>, regex: &str) -> Result<Self> {
        self.metadata.insert(name.into(), compile(regex)?);
        Ok(self)
    }

    /// Passes only events whose payload is an object with text under `name` that matches. Several names must all match.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if `regex` is not a regular expression.
    pub fn payload(mut self, name: impl Into<String>, regex: &str) -> Result<Self> {
        self.payload.insert(name.into(), compile(regex)?);
        Ok(self)
    }

    /// Whether `event` meets every condition. A condition on the payload decodes it for this.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        let text = |regex: &Option<Regex>, text: &str| {
            regex.as_ref().is_none_or(|regex| !text.is_empty() && regex.is_match(text))
        };
        text(&self.publisher_id, &event.publisher_id)
            && text(&self.event_type, &event.event_type)
            && self.context.iter().all(|(name, regex)| is_match(regex, event.context.get::<String>(name)))
            && self.metadata.iter().all(|(name, regex)| match name.as_str() {
                "message_id" => regex.is_match(&event.message_id),
                "timestamp" => regex.is_match(&event.timestamp),
                _ => false,
            })
            && self.payload_matches(event)
    }

    /// Decodes the payload only if there is a condition on it.
    fn payload_matches(&self, event: &Event) -> bool {
        if self.payload.is_empty() {
            return true;
        }
        let Ok(values) = event.payload.decode::<BTreeMap<String, Value>>() else { return false };
        self.payload.iter().all(|(name, regex)| is_match(regex, values.get(name).and_then(Value::as_str)))
    }
}

/// A missing text matches nothing, not even the empty expression.
fn is_match(regex: &Regex, text: Option<impl AsRef<str>>) -> bool {
    text.is_some_and(|text| regex.is_match(text.as_ref()))
}

/// Anchored at the beginning, as Python's `match` is.
fn compile(regex: &str) -> Result<Regex> {
    Regex::new(&format!(r"\A(?:{regex})"))
        .map_err(|error| Error::new(ErrorKind::Config, "read a filter").with_context("regex", regex).with_source(error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::Notification;

    fn event(payload: Value) -> Event {
        let mut notification = Notification::new(payload.into());
        notification.message_id = Some("uuid".into());
        notification.publisher_id = Some("compute.host-1".into());
        notification.event_type = Some("instance.create.end".into());
        notification.priority = Some("INFO".into());
        notification.timestamp = Some("2026-11-22 18:11:31.065226".into());
        notification.context = vec![("user".into(), json!("bob").into()), ("roles".into(), json!(["a"]).into())];
        Event::received(notification, false).unwrap()
    }

    #[test]
    fn filters_match_as_those_of_the_reference_do() {
        let filter = NotificationFilter::new;
        let event = event(json!({ "state": "active", "none": null, "count": 7 }));
        for (place, filter, expected) in [
            (1, Ok(filter()), true),
            (2, filter().publisher_id("^compute.*"), true),
            (3, filter().publisher_id("compute"), true),
            (4, filter().publisher_id("host"), false),
            (5, filter().publisher_id("a|compute"), true),
            (6, filter().event_type(r"^instance\.create\.end$"), true),
            (7, filter().event_type(r"instance$"), false),
            (8, filter().context("user", "^bob$"), true),
            (9, filter().context("user", "alice"), false),
            (10, filter().context("nobody", ".*"), false),
            (11, filter().context("roles", ".*"), false),
            (12, filter().metadata("timestamp", "2026-11"), true),
            (13, filter().metadata("message_id", "other"), false),
            (14, filter().metadata("priority", ".*"), false),
            (15, filter().payload("state", "^active$"), true),
            (16, filter().payload("state", "^building$"), false),
            (17, filter().payload("missing", ".*"), false),
            (18, filter().payload("none", ".*"), false),
            (19, filter().payload("count", "7"), false),
            (20, filter().publisher_id("compute").and_then(|filter| filter.payload("state", "act")), true),
            (21, filter().publisher_id("network").and_then(|filter| filter.payload("state", "act")), false),
        ] {
            assert_eq!(filter.unwrap().matches(&event), expected, "case {place}");
        }
    }

    #[test]
    fn what_is_missing_or_no_object_matches_nothing() {
        let mut event = event(json!([1]));
        event.event_type.clear();
        assert!(!NotificationFilter::new().event_type(".*").unwrap().matches(&event));
        assert!(!NotificationFilter::new().payload("0", ".*").unwrap().matches(&event));
    }

    #[test]
    fn what_is_no_regular_expression_is_refused() {
        let error = NotificationFilter::new().event_type("(").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains('('), "{error}");
    }
}
