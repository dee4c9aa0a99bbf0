//! The values that travel beside every request: who asks, on whose behalf, until when.
//!
//! The wire has each value as `_context_<name>`. A receiver of the reference adds `client_timeout`, `msg_id` and
//! `reply_q` to the values (oslo.messaging 18.3.1, `_drivers/amqp.py:unpack_context`); a value of one of these names
//! cannot reach a Python server. Here they are removed on receipt.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Deadline, Payload, Result};

/// Names that `unpack_context` of the reference overwrites. It keeps `client_timeout` in the context of the method;
/// here a forwarded context carries none of the three.
const ADDED_BY_THE_BUS: [&str; 3] = ["client_timeout", "msg_id", "reply_q"];

/// The values that travel with a request or a notification, in order, each as `_context_<name>` on the wire.
///
/// Immutable and cheap to clone. In a handler it also has the caller's deadline and the facts of the request; those two
/// are never forwarded as values, but a call made with this context ends by that deadline.
#[derive(Clone, Default)]
pub struct Context(Arc<Inner>);

/// Clones share it; a context with another value copies it.
#[derive(Clone, Default)]
struct Inner {
    values: Vec<(String, Payload)>,
    deadline: Option<Deadline>,
    request: Option<RequestInfo>,
}

/// What a handler can know of its request: enough to recognise one that may have run before.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestInfo {
    /// The `_unique_id` of the request: the same when the broker hands it over twice.
    pub unique_id: String,
    /// Whether the broker handed it over before, so that it may have run already.
    pub redelivered: bool,
    /// Whether the caller waits for an answer; `false` for a cast.
    pub is_call: bool,
}

impl Context {
    /// A context without values, as a client without request data sends it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This context with one value more, or another value under the same name.
    #[must_use]
    pub fn with(&self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.with_payload(name.into(), Payload::from(value.into()))
    }

    /// As [`with`](Self::with), for any serialisable value.
    ///
    /// # Errors
    /// [`ErrorKind::Encode`](crate::ErrorKind::Encode) if `value` has no JSON form.
    pub fn try_with(&self, name: impl Into<String>, value: &(impl Serialize + ?Sized)) -> Result<Self> {
        Ok(self.with_payload(name.into(), Payload::encode(value)?))
    }

    /// The value called `name`; `None` if it is missing or does not decode into a `T`.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.values().find(|(key, _)| *key == name).and_then(|(_, value)| value.decode().ok())
    }

    /// All values as one `T`, such as a struct with a field for each name.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) if they do not decode into a `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        // Joined as text: the values stay what the sender wrote until the type of the caller decodes them.
        let mut object = String::from("{");
        for (index, (name, value)) in self.values().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            object.push_str(separator);
            object.push_str(&Value::from(name).to_string());
            object.push(':');
            object.push_str(value.as_str());
        }
        object.push('}');
        Payload::from_json(object)?.decode()
    }

    /// The names and values, in the order they were added or received.
    pub fn values(&self) -> impl Iterator<Item = (&str, &Payload)> + Clone {
        self.0.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// In a handler: by when the caller wants its answer, if it said so. A caller in Python says how long it waits, and
    /// that is counted from when the request came. Of a cast nothing is known.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        self.0.deadline
    }

    /// This context without the caller's deadline, for work that goes on after the caller has given up: a call made
    /// with it takes as long as its client lets it.
    #[must_use]
    pub fn without_deadline(&self) -> Self {
        Self(Arc::new(Inner { deadline: None, ..(*self.0).clone() }))
    }

    /// In a handler: the request that is being answered. `None` in a context that a program made itself.
    #[must_use]
    pub fn request(&self) -> Option<&RequestInfo> {
        self.0.request.as_ref()
    }

    /// The context of a received request: what the bus added is taken out.
    pub(crate) fn received(
        values: Vec<(String, Payload)>,
        deadline: Option<Deadline>,
        request: Option<RequestInfo>,
    ) -> Self {
        let mut values = values;
        values.retain(|(name, _)| !ADDED_BY_THE_BUS.contains(&name.as_str()));
        Self(Arc::new(Inner { values, deadline, request }))
    }

    /// The values of `translated` with this context's deadline and request.
    pub(crate) fn replaced(&self, translated: &Self) -> Self {
        let values = translated.0.values.clone();
        Self(Arc::new(Inner { values, deadline: self.0.deadline, request: self.0.request.clone() }))
    }

    /// The values whose names `keep` wants, without deadline and request.
    pub(crate) fn keep(&self, keep: impl Fn(&str) -> bool) -> Self {
        let mut values = self.0.values.clone();
        values.retain(|(name, _)| keep(name));
        Self(Arc::new(Inner { values, deadline: None, request: None }))
    }

    /// The values, each in a buffer of its own, without deadline and request.
    pub(crate) fn detached(&self) -> Self {
        let values = self.values().map(|(name, value)| (name.to_owned(), value.detached())).collect();
        Self(Arc::new(Inner { values, deadline: None, request: None }))
    }

    /// A value that replaces another one keeps its place in the order.
    fn with_payload(&self, name: String, value: Payload) -> Self {
        let mut inner = (*self.0).clone();
        match inner.values.iter_mut().find(|(key, _)| *key == name) {
            Some(entry) => entry.1 = value,
            None => inner.values.push((name, value)),
        }
        Self(Arc::new(inner))
    }
}

/// Shows the names only: values may be secrets.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.values().map(|(name, _)| name).collect();
        f.debug_struct("Context").field("values", &names).field("deadline", &self.0.deadline).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Who {
        user: String,
        roles: Vec<String>,
    }

    #[test]
    fn values_keep_their_order_and_the_last_one_under_a_name_wins() {
        let context = Context::new().with("user", "alice").with("admin", true).with("user", "bob");
        let values: Vec<_> = context.values().map(|(name, value)| (name, value.as_str())).collect();
        assert_eq!(values, [("user", "\"bob\""), ("admin", "true")]);
    }

    #[test]
    fn a_context_decodes_into_a_type() {
        let context = Context::new().with("user", "alice").with("roles", json!(["reader"]));
        assert_eq!(context.decode::<Who>().unwrap(), Who { user: "alice".into(), roles: vec!["reader".into()] });
        assert_eq!(context.get::<String>("user").as_deref(), Some("alice"));
        assert_eq!(context.get::<u32>("user"), None);
    }

    #[test]
    fn what_the_bus_added_is_taken_out_on_receipt() {
        let values = ["client_timeout", "user", "msg_id", "reply_q"].map(|name| (name.to_owned(), Payload::null()));
        let context = Context::received(values.to_vec(), None, None);
        assert_eq!(context.values().map(|(name, _)| name).collect::<Vec<_>>(), ["user"]);
    }

    #[test]
    fn debug_output_shows_names_and_never_values() {
        let shown = format!("{:?}", Context::new().with("token", "hunter2"));
        assert!(shown.contains("token") && !shown.contains("hunter2"), "{shown}");
    }
}
