//! The one error type of this crate: its kind, the operation, and whether the method may have run.
//!
//! Drivers build an [`Error`] from the client library's own error, which stays reachable as its source. Core adds
//! context on the way up. It changes the kind in one place: a call that ends at its deadline is a timeout,
//! with the error of its publish as the source.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::excerpt::{Excerpt, cut, excerpt};

/// A result whose error is this crate's [`Error`], unless another type is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, for programs to match on.
///
/// A kind does not say whether another attempt helps, or whether the method ran:
/// ask `Error::is_transient` and `Error::executed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The deadline passed before the operation ended. What was begun may still have its effect.
    Timeout,
    /// No queue is bound where the message was sent, so no server or listener can receive it.
    Undeliverable,
    /// The connection to the broker is gone, or could not be made.
    Disconnected,
    /// The broker has raised a resource alarm and takes no publishes.
    Blocked,
    /// The broker refused our credentials or our rights.
    Denied,
    /// The broker took the message and then refused it (a negative confirm).
    Refused,
    /// A queue or an exchange exists in a form that cannot be used.
    Topology,
    /// A body or a name is over a limit of the broker.
    TooLarge,
    /// A value could not be written as JSON.
    Encode,
    /// A message, a configuration file or a result could not be read.
    Decode,
    /// The remote method failed; [`Error::remote`] has the exception.
    Remote,
    /// A peer wrote a version of the wire format that we do not read.
    UnsupportedVersion,
    /// The version of the message is over the client's version cap.
    VersionCap,
    /// The target is missing a part, or has one too many, for this operation.
    InvalidTarget,
    /// A URL, an option or a combination of them is not valid.
    Config,
    /// The driver cannot do this; [`Capabilities`](crate::driver::Capabilities) says so beforehand.
    Unsupported,
    /// The bus, server or listener was closed, so no attempt can succeed.
    Closed,
}

impl ErrorKind {
    /// What is known of the execution from the kind alone. `Config`, `InvalidTarget`, `VersionCap`, `Encode` and
    /// `Unsupported` are found before anything is sent.
    fn implied_executed(self) -> Executed {
        match self {
            Self::Config | Self::InvalidTarget | Self::VersionCap | Self::Encode | Self::Unsupported => Executed::No,
            Self::Timeout
            | Self::Undeliverable
            | Self::Disconnected
            | Self::Blocked
            | Self::Denied
            | Self::Refused
            | Self::Topology
            | Self::TooLarge
            | Self::Decode
            | Self::Remote
            | Self::UnsupportedVersion
            | Self::Closed => Executed::Maybe,
        }
    }

    /// Its name as the `outcome` of a metric.
    ///
    /// Users match on it, so a changed label breaks their dashboards.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Undeliverable => "undeliverable",
            Self::Disconnected => "disconnected",
            Self::Blocked => "blocked",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Topology => "topology",
            Self::TooLarge => "too_large",
            Self::Encode => "encode",
            Self::Decode => "decode",
            Self::Remote => "remote",
            Self::UnsupportedVersion => "unsupported_version",
            Self::VersionCap => "version_cap",
            Self::InvalidTarget => "invalid_target",
            Self::Config => "config",
            Self::Unsupported => "unsupported",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "timed out",
            Self::Undeliverable => "undeliverable: no queue is bound",
            Self::Disconnected => "disconnected",
            Self::Blocked => "blocked by the broker",
            Self::Denied => "access denied",
            Self::Refused => "refused by the broker",
            Self::Topology => "topology mismatch",
            Self::TooLarge => "too large",
            Self::Encode => "cannot encode",
            Self::Decode => "cannot decode",
            Self::Remote => "remote error",
            Self::UnsupportedVersion => "unsupported version of the wire format",
            Self::VersionCap => "over the version cap",
            Self::InvalidTarget => "invalid target",
            Self::Config => "invalid configuration",
            Self::Unsupported => "not supported by this driver",
            Self::Closed => "closed",
        })
    }
}

/// Whether the requested method may have run, or the message may have had its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Executed {
    /// It certainly did not happen and will not: sending again is safe.
    No,
    /// It is unknown here; reconcile before you repeat it.
    Maybe,
    /// It happened: the remote side sent its result, or a failure that does not read as the refusal of a request. A
    /// server in Python may send such a failure also of its own machinery, before the method or after it.
    Yes,
}

/// Why an operation failed, and what is known of its effect all the same.
///
/// Cheap to move (one pointer); a clone shares the source. `Display` is one line: operation, kind, context, and the
/// source's own text, each text in it escaped and cut as an [`Excerpt`](crate::driver::Excerpt). `{:?}` is the same
/// line, which is what a `main` that returns it prints; `{:#?}` is its parts.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    /// A verb, which the line of the error begins with.
    operation: &'static str,
    /// What the kind implies, until a layer that knows more replaces it.
    executed: Executed,
    /// Whether core may repeat the operation.
    transient: bool,
    /// In the order in which the layers added it, the innermost first.
    context: Vec<(&'static str, String)>,
    /// Shared by clones.
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` in `operation` (a verb such as `"publish"`), not transient.
    ///
    /// [`executed`](Self::executed) starts with what the kind implies: [`Executed::No`] for `Config`, `InvalidTarget`,
    /// `VersionCap`, `Encode` and `Unsupported`, which are found before anything is sent, and [`Executed::Maybe`] for
    /// every other kind. Code that knows more calls [`with_executed`](Self::with_executed): a driver that is certain
    /// that nothing was sent must say `No`, or core will not send again.
    ///
    /// ```
    /// use oslo_messaging::{Error, ErrorKind, Executed};
    ///
    /// assert_eq!(Error::new(ErrorKind::Config, "connect").executed(), Executed::No);
    /// assert_eq!(Error::new(ErrorKind::Disconnected, "publish").executed(), Executed::Maybe);
    /// ```
    #[must_use]
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self(Box::new(Inner {
            kind,
            operation,
            executed: kind.implied_executed(),
            transient: false,
            context: Vec::new(),
            source: None,
        }))
    }

    /// What went wrong, for programs to match on; context and source are for people.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed, a verb such as `publish`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// Whether the method, or the effect of the message, may have happened all the same.
    #[must_use]
    pub fn executed(&self) -> Executed {
        self.0.executed
    }

    /// Whether the same operation may succeed if it is tried again later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.transient
    }

    /// The context of the error as keys and values, in the order they were added. Not escaped.
    pub fn context(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.context.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// Replaces what the kind implies; a driver that certainly sent nothing says [`Executed::No`].
    #[must_use]
    pub fn with_executed(mut self, executed: Executed) -> Self {
        self.0.executed = executed;
        self
    }

    /// Marks the error as transient: another attempt may succeed. Core repeats only transient errors.
    #[must_use]
    pub fn transient(mut self) -> Self {
        self.0.transient = true;
        self
    }

    /// Adds a key and a value, such as `("queue", "orders")`; keys are in snake case. Never a secret, never a message
    /// body. Of a longer text the first KiB is kept.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, cut(value)));
        self
    }

    /// Sets the error that caused this one, such as that of the driver's client library.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// [`ErrorKind::Unsupported`]: the driver has no way to do `operation`.
    #[must_use]
    pub fn unsupported(operation: &'static str) -> Self {
        Self::new(ErrorKind::Unsupported, operation)
    }

    /// [`ErrorKind::Closed`]: `operation` came after the end, or was under way when it came; [`Executed::Maybe`].
    #[must_use]
    pub fn closed(operation: &'static str) -> Self {
        Self::new(ErrorKind::Closed, operation)
    }

    /// [`ErrorKind::Timeout`]: the deadline of `operation` passed; transient, and [`Executed::Maybe`].
    #[must_use]
    pub fn timeout(operation: &'static str) -> Self {
        Self::new(ErrorKind::Timeout, operation).transient()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.operation, self.0.kind)?;
        for (index, (key, value)) in self.0.context.iter().enumerate() {
            let separator = if index == 0 { " (" } else { ", " };
            write!(f, "{separator}{key}: {}", Excerpt(value))?;
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        let Some(source) = &self.0.source else { return Ok(()) };
        f.write_str(": ")?;
        // One of ours is cut in its parts, so that a long fact in it does not hide its own source.
        match source.downcast_ref::<Self>() {
            Some(error) => error.fmt(f),
            None => excerpt(f, source),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return fmt::Display::fmt(self, f);
        }
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("operation", &self.0.operation)
            .field("executed", &self.0.executed)
            .field("transient", &self.0.transient)
            .field("context", &self.0.context)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_prints_as_one_line_with_its_facts_and_its_cause() {
        let error = Error::new(ErrorKind::Denied, "connect")
            .with_context("host", "mq1:5672")
            .with_context("user", "alice")
            .with_source("ACCESS_REFUSED");
        assert_eq!(error.to_string(), "connect: access denied (host: mq1:5672, user: alice): ACCESS_REFUSED");
    }

    #[test]
    fn what_main_prints_of_an_error_is_its_line_and_its_parts_are_there_on_request() {
        let disk = std::io::Error::other("disk full");
        let error = Error::timeout("call")
            .with_executed(Executed::No)
            .with_context("method", "add")
            .with_source(Error::closed("save").with_source(disk));
        assert_eq!(format!("{error:?}"), "call: timed out (method: add): save: closed: disk full");
        assert_eq!(format!("{error:?}"), error.to_string());
        let parts = format!("{error:#?}");
        for part in ["kind: Timeout", "operation: \"call\"", "executed: No", "transient: true", "\"add\"", "disk full"]
        {
            assert!(parts.contains(part), "{part} is in {parts}");
        }
    }

    #[test]
    fn no_text_in_an_error_makes_a_line_of_its_own_or_a_long_one() {
        let hostile = format!("\u{1b}[31mred\n2026-01-01 ERROR forged{}", "x".repeat(1 << 20));
        let source =
            Error::new(ErrorKind::Denied, "connect").with_context("user", &hostile).with_source(hostile.clone());
        let error =
            Error::closed("call").with_context("method", &hostile).with_context("queue", "q").with_source(source);
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains(char::is_control) && shown.len() < 4_000, "{} bytes: {shown}", shown.len());
            assert!(shown.starts_with("call: closed (method: \\u{1b}[31mred\\n2026"), "{shown}");
            assert!(shown.contains("queue: q): connect: access denied (user: "), "{shown}");
        }
        let kept: usize = error.context().map(|(_, value)| value.len()).sum();
        assert!(kept < 1_100, "{kept} bytes are kept");
    }

    #[test]
    fn a_new_error_knows_of_the_execution_what_its_kind_implies() {
        for (kind, executed) in [
            (ErrorKind::Timeout, Executed::Maybe),
            (ErrorKind::Undeliverable, Executed::Maybe),
            (ErrorKind::Disconnected, Executed::Maybe),
            (ErrorKind::Blocked, Executed::Maybe),
            (ErrorKind::Denied, Executed::Maybe),
            (ErrorKind::Refused, Executed::Maybe),
            (ErrorKind::Topology, Executed::Maybe),
            (ErrorKind::TooLarge, Executed::Maybe),
            (ErrorKind::Encode, Executed::No),
            (ErrorKind::Decode, Executed::Maybe),
            (ErrorKind::Remote, Executed::Maybe),
            (ErrorKind::UnsupportedVersion, Executed::Maybe),
            (ErrorKind::VersionCap, Executed::No),
            (ErrorKind::InvalidTarget, Executed::No),
            (ErrorKind::Config, Executed::No),
            (ErrorKind::Unsupported, Executed::No),
            (ErrorKind::Closed, Executed::Maybe),
        ] {
            let error = Error::new(kind, "test");
            assert_eq!((error.executed(), error.is_transient()), (executed, false), "{kind:?}");
        }
        assert_eq!(Error::timeout("test").executed(), Executed::Maybe);
        assert_eq!(Error::closed("test").executed(), Executed::Maybe);
        assert_eq!(Error::unsupported("test").executed(), Executed::No);
    }

    #[test]
    fn an_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
