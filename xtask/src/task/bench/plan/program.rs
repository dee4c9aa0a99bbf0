//! The programs that are measured.

use std::fmt;

use serde::Serialize;

/// A program of `benches`, by what it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Program {
    /// This library.
    Ours,
    /// lapin alone, with the frames of this library.
    Frames,
    /// lapin alone, as one writes it first.
    Straight,
    /// lapin alone, without acknowledgements and confirms.
    Careless,
    /// ruststream, on RabbitMQ or on its broker in memory.
    Ruststream,
    /// tarpc over a stream of bytes.
    Tarpc,
    /// tarpc over a channel of values.
    TarpcChannel,
    /// The reference, oslo.messaging.
    Python,
}

impl Program {
    /// The package of `benches/peers` that it is in; `None` of the script in Python.
    pub(crate) fn package(self) -> Option<&'static str> {
        match self {
            Self::Ours => Some("peer-ours"),
            Self::Frames | Self::Straight | Self::Careless => Some("peer-lapin"),
            Self::Ruststream => Some("peer-ruststream"),
            Self::Tarpc | Self::TarpcChannel => Some("peer-tarpc"),
            Self::Python => None,
        }
    }

    /// The executable.
    pub(crate) fn executable(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Frames => "frames",
            Self::Straight => "straight",
            Self::Careless => "careless",
            Self::Ruststream => "ruststream",
            Self::Tarpc | Self::TarpcChannel => "tarpc",
            Self::Python => "reference.py",
        }
    }

    /// Names it in the ids of rows.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::TarpcChannel => "tarpc-channel",
            Self::Python => "python",
            _ => self.executable(),
        }
    }

    /// Arguments that it always has.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::TarpcChannel => &["--transport", "channel"],
            _ => &[],
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "oslo-messaging",
            Self::Frames => "lapin, same frames",
            Self::Straight => "lapin, straightforward",
            Self::Careless => "lapin, no acknowledgements or confirms",
            Self::Ruststream => "ruststream",
            Self::Tarpc => "tarpc, JSON over a stream",
            Self::TarpcChannel => "tarpc, channel",
            Self::Python => "oslo.messaging",
        })
    }
}
