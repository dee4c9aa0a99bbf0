//! A value that `Debug` and serialization never show.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Written in place of a secret, as in the reference's logs.
pub(super) const MASK: &str = "***";

/// A value that must not leave the process: it is written, and shown by `Debug`, as `***`.
///
/// It reads as a `T`, so a type that is received can also be published without its secrets.
///
/// ```
/// use oslo_messaging::notify::Secret;
///
/// let token: Secret<String> = serde_json::from_str("\"hunter2\"")?;
/// assert_eq!(token.expose(), "hunter2");
/// assert_eq!(serde_json::to_string(&token)?, "\"***\"");
/// assert_eq!(format!("{token:?}"), "***");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides `value` from `Debug` and serialization, which show `***`.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. A place that shows it must call this by name.
    #[must_use]
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// Takes the value out; nothing hides it from then on.
    #[must_use]
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl<T> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    struct Login {
        user: String,
        password: Secret<String>,
        pins: Vec<Secret<u32>>,
        #[serde(flatten)]
        more: Option<Secret<Value>>,
    }

    #[test]
    fn a_secret_is_read_and_never_written_or_shown() {
        let login: Login =
            serde_json::from_value(json!({"user": "alice", "password": "hunter2", "pins": [4711]})).unwrap();
        assert_eq!((login.password.expose().as_str(), *login.pins[0].expose()), ("hunter2", 4711));
        let shown = format!("{login:?} {login:#?}");
        assert!(shown.contains("alice") && !shown.contains("hunter2") && !shown.contains("4711"), "{shown}");
        let login = Login { more: None, ..login };
        assert_eq!(serde_json::to_value(&login).unwrap(), json!({"user": "alice", "password": "***", "pins": ["***"]}));
    }
}
