//! The exception that a remote method failed with, as its caller sees it.

use std::error::Error as StdError;
use std::fmt;

use crate::excerpt::Excerpt;
use crate::{Error, Payload};

/// How a remote method failed: the exception, as its server sent it.
///
/// What the other side left out is empty, and a class that it did not name is `unknown`.
///
/// `Display` and `{:?}` are one line, `module.class: message`, each escaped and cut as an
/// [`Excerpt`](crate::driver::Excerpt); `{:#?}` is all of it.
///
/// Reached through `Error::remote` on an error of the kind `Remote`.
/// Match on `module` and `class`; the message is for people.
#[derive(Clone, PartialEq)]
pub struct RemoteError(pub(crate) Box<Raised>);

/// An exception in the terms of Python, with all of it that travels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Raised {
    /// `unknown` if the server named none.
    pub(crate) class: String,
    /// Empty if the server named none.
    pub(crate) module: String,
    pub(crate) message: String,
    /// Always a JSON array: anything else was left out on receipt.
    pub(crate) args: Payload,
    /// Always a JSON object: anything else was left out on receipt.
    pub(crate) kwargs: Payload,
    /// Lines with their line ends; empty if the server sent none.
    pub(crate) traceback: Vec<String>,
}

impl RemoteError {
    /// The class of the exception, such as `ValueError`.
    #[must_use]
    pub fn class(&self) -> &str {
        &self.0.class
    }

    /// The module of that class, such as `builtins`.
    #[must_use]
    pub fn module(&self) -> &str {
        &self.0.module
    }

    /// What it says: `str()` of the exception.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the exception was made with, by position: always an array.
    #[must_use]
    pub fn args(&self) -> &Payload {
        &self.0.args
    }

    /// What the exception carries by name: always an object.
    #[must_use]
    pub fn kwargs(&self) -> &Payload {
        &self.0.kwargs
    }

    /// Where it was raised, in the lines that the other side printed, each with its line end.
    ///
    /// A server in Rust sends the sources of an error here.
    #[must_use]
    pub fn traceback(&self) -> &[String] {
        &self.0.traceback
    }
}

impl Error {
    /// The exception of the remote method, if it is the source of this error.
    ///
    /// `None` if the source is something else, also if a remote error stands deeper among the sources.
    #[must_use]
    pub fn remote(&self) -> Option<&RemoteError> {
        StdError::source(self)?.downcast_ref()
    }
}

impl Raised {
    /// The line of its `Display`, whole and not escaped.
    pub(crate) fn whole_text(&self) -> String {
        let separator = if self.module.is_empty() { "" } else { "." };
        format!("{}{separator}{}: {}", self.module, self.class, self.message)
    }

    /// An exception of unknown class that says `message`.
    pub(crate) fn unknown(message: String) -> Self {
        Self {
            class: "unknown".to_owned(),
            module: String::new(),
            message,
            args: Payload::empty_array(),
            kwargs: Payload::empty_object(),
            traceback: Vec::new(),
        }
    }
}

impl From<Raised> for RemoteError {
    /// Arguments of a shape that arguments do not have are left out.
    fn from(mut raised: Raised) -> Self {
        if raised.args.shape() != "an array" {
            raised.args = Payload::empty_array();
        }
        if raised.kwargs.shape() != "an object" {
            raised.kwargs = Payload::empty_object();
        }
        Self(Box::new(raised))
    }
}

impl fmt::Debug for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() { fmt::Debug::fmt(&self.0, f) } else { fmt::Display::fmt(self, f) }
    }
}

impl fmt::Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.module.is_empty() {
            write!(f, "{}.", Excerpt(&self.module))?;
        }
        write!(f, "{}: {}", Excerpt(&self.class), Excerpt(&self.message))
    }
}

impl StdError for RemoteError {}
