//! How a call of a typed method fails: with the error of the method, or with one of the bus.

use std::error::Error as StdError;
use std::fmt;

use crate::{Error, Exception, Executed, Failure, RemoteError};

/// How a call through the client of a service fails.
///
/// `E` is the error type of the method. Both variants keep the [`Error`] of the call, and `?` turns either into it.
///
/// ```
/// use oslo_messaging::{CallError, Failure};
///
/// fn describe(error: &CallError<Failure>) -> String {
///     match error {
///         CallError::Method(failure, _) => format!("the method failed with {}", failure.class()),
///         CallError::Bus(error) => format!("no answer, executed: {:?}", error.executed()),
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub enum CallError<E> {
    /// The server answered with an exception that is an `E`. `Failure` and `Internal` take every exception, so with them
    /// the refusals of a server arrive here as well, such as an unknown method; [`executed`](Self::executed) is not `Yes` then.
    Method(E, Error),
    /// There was no answer, or an exception that is no `E`: [`Error::remote`] has it then. An exception of the right
    /// class whose arguments do not fit is one of these.
    Bus(Error),
}

/// An error that crosses the bus to the caller of a typed method.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a method of a service",
    label = "a caller cannot be given this error",
    note = "derive `oslo_messaging::Exception` for it, or use `oslo_messaging::Failure`"
)]
pub trait MethodError: Into<Failure> + Sized {
    /// The error that `remote` is, if it is one of these.
    fn of_remote(remote: &RemoteError) -> Option<Self>;
}

impl<E> CallError<E> {
    /// The error as the untyped client reports it.
    #[must_use]
    pub fn error(&self) -> &Error {
        match self {
            Self::Method(_, error) | Self::Bus(error) => error,
        }
    }

    /// Whether the method may have run: [`Error::executed`].
    #[must_use]
    pub fn executed(&self) -> Executed {
        self.error().executed()
    }
}

impl<E: MethodError> CallError<E> {
    /// Asks `E` whether it takes the exception of `error`.
    pub(crate) fn new(error: Error) -> Self {
        match error.remote().and_then(E::of_remote) {
            Some(method) => Self::Method(method, error),
            None => Self::Bus(error),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<E: Into<Failure> + for<'a> TryFrom<&'a RemoteError>> MethodError for E {
    fn of_remote(remote: &RemoteError) -> Option<Self> {
        Self::try_from(remote).ok()
    }
}

impl<E> From<CallError<E>> for Error {
    fn from(error: CallError<E>) -> Self {
        match error {
            CallError::Method(_, error) | CallError::Bus(error) => error,
        }
    }
}

impl<E> Exception for CallError<E> {
    /// As that of its [`Error`]: the exception of the method is passed on as it came.
    fn failure(&self) -> Failure {
        self.error().failure()
    }
}

impl<E> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.error(), f)
    }
}

impl<E: fmt::Debug> StdError for CallError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error().source()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::ErrorKind;

    /// Takes one class, and only with a number as its argument.
    #[derive(Debug, Clone, PartialEq)]
    struct OutOfStock(u32);

    impl Exception for OutOfStock {
        fn failure(&self) -> Failure {
            Failure::new("shop.errors", "OutOfStock", "none left").with_args([self.0])
        }
    }

    impl TryFrom<&RemoteError> for OutOfStock {
        type Error = ();

        fn try_from(remote: &RemoteError) -> Result<Self, ()> {
            let [code]: [u32; 1] = remote.args().decode().map_err(drop)?;
            if remote.class() == "OutOfStock" { Ok(Self(code)) } else { Err(()) }
        }
    }

    fn raised(failure: Failure) -> Error {
        Error::new(ErrorKind::Remote, "call").with_executed(Executed::Yes).with_source(RemoteError::from(failure))
    }

    #[test]
    fn an_exception_that_the_error_type_takes_is_the_methods() {
        let CallError::Method(error, bus) = CallError::<OutOfStock>::new(raised(OutOfStock(7).failure())) else {
            panic!("it is one of the method")
        };
        assert_eq!((error, bus.executed()), (OutOfStock(7), Executed::Yes));
    }

    #[test]
    fn arguments_that_do_not_fit_and_other_classes_stay_remote_errors_of_the_bus() {
        for failure in [
            Failure::new("shop.errors", "OutOfStock", "none left").with_args(["seven"]),
            Failure::new("shop.errors", "Closed", "closed").with_args([7]),
        ] {
            let CallError::Bus(error) = CallError::<OutOfStock>::new(raised(failure.clone())) else {
                panic!("it is none of the method: {failure}")
            };
            assert_eq!(error.remote().unwrap().class(), failure.class());
        }
    }

    #[test]
    fn a_failure_takes_every_exception_and_infallible_none() {
        let failure = Failure::new("shop.errors", "Closed", "closed");
        assert!(
            matches!(CallError::<Failure>::new(raised(failure.clone())), CallError::Method(same, _) if same == failure)
        );
        assert!(matches!(CallError::<Infallible>::new(raised(failure)), CallError::Bus(_)));
        let timeout = Error::new(ErrorKind::Timeout, "call");
        assert!(matches!(CallError::<Failure>::new(timeout), CallError::Bus(_)));
    }

    #[test]
    fn a_handler_passes_it_on_and_a_function_of_the_bus_returns_it() {
        let failure = Failure::new("shop.errors", "Closed", "closed");
        let handler = || -> Result<(), Failure> { Err(CallError::<Failure>::new(raised(failure.clone())))? };
        assert_eq!(handler().unwrap_err(), failure);
        let caller = || -> crate::Result<()> { Err(CallError::<Failure>::new(raised(failure.clone())))? };
        assert_eq!(caller().unwrap_err().kind(), ErrorKind::Remote);
    }
}
