//! What of a context may leave the process with an event.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::Context;

/// Decides which values of a context may leave the process with an event.
/// What it returns is sent unchanged, and nothing else.
///
/// A [`Context`] keeps the names that [`Notifier::allow_context`](crate::Notifier::allow_context) lists, which by
/// default are none, as the reference drops the context that is a plain dictionary. A type of your own that knows which
/// of its values are secrets decides for itself, as a `redacted_copy` does there
/// (oslo.messaging 18.3.1, `notify/notifier.py:_sanitize_context`).
///
/// ```
/// use oslo_messaging::notify::{AllowedContext, Redact};
/// use oslo_messaging::Context;
///
/// struct Login { user: String, token: String }
///
/// impl Redact for Login {
///     fn redacted(&self, _: &AllowedContext) -> Context {
///         Context::new().with("user", self.user.as_str())
///     }
/// }
/// # let login = Login { user: "alice".into(), token: "hunter2".into() };
/// # assert_eq!(login.redacted(&AllowedContext::none()).get::<String>("user").as_deref(), Some("alice"));
/// # let _ = login.token;
/// ```
pub trait Redact {
    /// What may leave the process. `allowed` is the list of the notifier, to be used or not.
    fn redacted(&self, allowed: &AllowedContext) -> Context;
}

/// The names of a context's values that may leave the process. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedContext(Arc<BTreeSet<String>>);

impl AllowedContext {
    /// Only the values called `names` leave the process.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(Arc::new(names.into_iter().map(Into::into).collect()))
    }

    /// No value of the context leaves the process.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether the value called `name` may leave the process.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

impl Redact for Context {
    fn redacted(&self, allowed: &AllowedContext) -> Context {
        self.keep(|name| allowed.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(context: &Context) -> Vec<&str> {
        context.values().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_context_keeps_the_allowed_names_in_its_own_order() {
        let context = Context::new().with("user", "alice").with("token", "hunter2").with("request_id", "req-1");
        assert_eq!(names(&context.redacted(&AllowedContext::new(["request_id", "user"]))), ["user", "request_id"]);
        assert_eq!(names(&context.redacted(&AllowedContext::none())), [""; 0]);
    }
}
