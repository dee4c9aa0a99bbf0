//! The seven priorities of events. They are part of routing keys, and carry no order.

use std::fmt;
use std::str::FromStr;

use crate::{Error, ErrorKind};

/// How much an event matters. Each priority of a topic has its own queue, `<topic>.<priority>` in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// An audit record. The log sink writes it at the level INFO.
    Audit,
    /// Diagnostics for developers.
    Debug,
    /// Normal operation.
    Info,
    /// Unexpected, but not a failure.
    Warn,
    /// A failure. The log sink writes it at the level ERROR, as it does `Critical`.
    Error,
    /// A failure that needs an operator at once.
    Critical,
    /// A measured value. The log sink writes it at the level INFO.
    Sample,
}

impl Priority {
    /// All seven, in the order of the reference (oslo.messaging `notify/dispatcher.py`, `PRIORITIES`).
    pub const ALL: [Self; 7] =
        [Self::Audit, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Critical, Self::Sample];

    /// The name in lower case, as in the names of queues.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Sample => "sample",
        }
    }

    /// The name in upper case, as in messages.
    #[must_use]
    pub const fn as_upper_case(self) -> &'static str {
        match self {
            Self::Audit => "AUDIT",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
            Self::Sample => "SAMPLE",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads a name in any case; the error of another word lists the seven.
impl FromStr for Priority {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|priority| priority.as_str().eq_ignore_ascii_case(name)).ok_or_else(|| {
            Error::new(ErrorKind::Config, "read a priority")
                .with_context("priority", name)
                .with_context("known", Self::ALL.map(Self::as_str).join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_in_any_case() {
        for priority in Priority::ALL {
            assert_eq!(priority.as_str().parse::<Priority>().unwrap(), priority);
            assert_eq!(priority.as_upper_case().parse::<Priority>().unwrap(), priority);
            assert_eq!(priority.as_upper_case().to_lowercase(), priority.as_str());
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_names_there_are() {
        let error = "loud".parse::<Priority>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("loud") && error.to_string().contains("critical"), "{error}");
    }
}
