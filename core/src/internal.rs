//! The error of methods that want `?` from any error.

use std::error::Error as StdError;
use std::fmt;

use crate::{Exception, Failure};

/// How a method fails that gives its errors no Python name: any error becomes one by `?`.
///
/// The caller gets a `RuntimeError` with the text of the error, as [`Failure::internal`] makes it. [`Failure`] takes by
/// `?` only what is an [`Exception`]; a method chooses by its return type. An error that is an exception is a
/// `RuntimeError` here as well: return [`Failure`] where its class matters. A caller that reads one from the bus gets the
/// text of the remote error, which begins with the class.
///
/// ```
/// use oslo_messaging::{Failure, Internal};
///
/// async fn size(path: &str) -> Result<u64, Internal> {
///     if path.is_empty() {
///         Err("a path is needed")?;
///     }
///     Ok(std::fs::metadata(path)?.len())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let failure = Failure::from(size("").await.unwrap_err());
/// assert_eq!(failure.to_string(), "builtins.RuntimeError: a path is needed");
/// # }
/// ```
// No `std::error::Error`: the conversion from every error would then include the one from itself.
#[derive(Clone, PartialEq)]
pub struct Internal(Failure);

impl<'a, E: Into<Box<dyn StdError + Send + Sync + 'a>>> From<E> for Internal {
    fn from(error: E) -> Self {
        Self(Failure::internal(error))
    }
}

impl Exception for Internal {
    fn failure(&self) -> Failure {
        self.0.clone()
    }
}

impl fmt::Debug for Internal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Internal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, RemoteError};

    #[test]
    fn every_error_and_plain_text_become_a_runtime_error_by_the_question_mark() {
        let number = || -> Result<u8, Internal> { Ok("x".parse::<u8>()?) };
        let bus = || -> Result<u8, Internal> { Err(crate::Error::new(ErrorKind::Timeout, "call"))? };
        let text = || -> Result<u8, Internal> { Err("no such shelf")? };
        for (failed, message) in
            [(number(), "invalid digit found in string"), (bus(), "call: timed out"), (text(), "no such shelf")]
        {
            let failure = Failure::from(failed.unwrap_err());
            assert_eq!((failure.module(), failure.class()), ("builtins", "RuntimeError"));
            assert_eq!(failure.message(), message);
        }
    }

    #[test]
    fn it_is_made_of_every_remote_exception() {
        let remote = RemoteError::from(Failure::new("shop.errors", "OutOfStock", "none left"));
        let internal = Internal::from(&remote);
        assert_eq!(internal.to_string(), "builtins.RuntimeError: shop.errors.OutOfStock: none left");
    }
}
