//! Errors that reach the caller as a named Python exception.

use std::convert::Infallible;

use crate::{Error, ErrorKind, Failure, RemoteError};

/// An error type whose values reach the caller as a Python exception.
///
/// With an implementation, `?` converts the error into a [`Failure`].
/// `Failure` itself does not implement `Exception`; it is passed through unchanged.
///
/// ```
/// use oslo_messaging::{Exception, Failure};
/// use serde_json::json;
///
/// #[derive(Debug)]
/// struct OutOfStock { code: u32 }
///
/// impl Exception for OutOfStock {
///     fn failure(&self) -> Failure {
///         Failure::new("shop.errors", "OutOfStock", "out of stock").with_kwargs(json!({ "code": self.code })).expected()
///     }
/// }
///
/// let failure = Failure::from(OutOfStock { code: 7 });
/// assert_eq!(failure.to_string(), "shop.errors.OutOfStock: out of stock");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a method: it has no Python name",
    label = "not an `Exception`",
    note = "derive `oslo_messaging::Exception` for it, return `Failure`, or return `Internal`, which takes any error by `?`"
)]
pub trait Exception {
    /// The exception that the caller gets. `?` in a handler calls this.
    fn failure(&self) -> Failure;
}

impl<E: Exception> From<E> for Failure {
    fn from(error: E) -> Self {
        error.failure()
    }
}

impl Exception for Infallible {
    fn failure(&self) -> Failure {
        match *self {}
    }
}

impl<E: Exception + ?Sized> Exception for &E {
    fn failure(&self) -> Failure {
        (**self).failure()
    }
}

/// So that a method that cannot fail can be called through a typed client: its exceptions are none of the method's.
impl<'a> TryFrom<&'a RemoteError> for Infallible {
    type Error = &'a RemoteError;

    fn try_from(remote: &'a RemoteError) -> Result<Self, Self::Error> {
        Err(remote)
    }
}

impl Exception for RemoteError {
    /// The failure of a method that this one called, passed on as it came.
    fn failure(&self) -> Failure {
        Failure::new(self.module(), self.class(), self.message())
            .with_args(self.args())
            .with_kwargs(self.kwargs())
            .with_traceback(self.traceback())
    }
}

impl Exception for Error {
    /// A remote failure as it came; of the rest what a Python server answers if its own call to another ends so.
    fn failure(&self) -> Failure {
        if let Some(remote) = self.remote() {
            return remote.failure();
        }
        let (module, class) = match self.kind() {
            ErrorKind::Timeout => ("oslo_messaging.exceptions", "MessagingTimeout"),
            ErrorKind::Undeliverable => ("oslo_messaging.exceptions", "MessageUndeliverable"),
            ErrorKind::InvalidTarget => ("oslo_messaging.exceptions", "InvalidTarget"),
            ErrorKind::Disconnected | ErrorKind::Blocked | ErrorKind::Refused => {
                ("oslo_messaging.exceptions", "MessageDeliveryFailure")
            }
            ErrorKind::VersionCap => ("oslo_messaging.rpc.client", "RPCVersionCapError"),
            ErrorKind::UnsupportedVersion => ("oslo_messaging._drivers.common", "UnsupportedRpcEnvelopeVersion"),
            _ => return Failure::internal(self),
        };
        Failure::internal(self).renamed(module, class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failure_of_a_nested_call_is_passed_on_as_it_came() {
        let first = Failure::new("shop.errors", "OutOfStock", "none left").with_args((1, 2)).with_traceback(["line\n"]);
        let remote = RemoteError::from(first.clone());
        assert_eq!(Failure::from(remote.clone()), first);
        assert_eq!(Failure::from(Error::new(ErrorKind::Remote, "call").with_source(remote)), first);
    }

    #[test]
    fn errors_of_the_bus_have_the_names_of_the_reference() {
        for (kind, name) in [
            (ErrorKind::Timeout, "oslo_messaging.exceptions.MessagingTimeout: "),
            (ErrorKind::Undeliverable, "oslo_messaging.exceptions.MessageUndeliverable: "),
            (ErrorKind::Disconnected, "oslo_messaging.exceptions.MessageDeliveryFailure: "),
            (ErrorKind::InvalidTarget, "oslo_messaging.exceptions.InvalidTarget: "),
            (ErrorKind::VersionCap, "oslo_messaging.rpc.client.RPCVersionCapError: "),
            (ErrorKind::Closed, "builtins.RuntimeError: "),
        ] {
            let shown = Failure::from(Error::new(kind, "call")).to_string();
            assert!(shown.starts_with(name), "{shown}");
        }
    }
}
