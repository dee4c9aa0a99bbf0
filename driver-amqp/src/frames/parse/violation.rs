//! Why a connection cannot go on.

use std::error::Error;
use std::fmt;

use super::fields::Malformed;

/// What a peer sent that neither can be repaired nor may be passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation {
    /// The first byte of a frame is none that AMQP 0-9-1 knows.
    FrameType(u8),
    /// A frame does not end where its head says.
    FrameEnd { kind: &'static str },
    /// A frame is larger than agreed.
    TooLarge { kind: &'static str, bytes: u64, limit: usize },
    /// A method cannot be parsed.
    Method { class: u16, method: u16, why: Malformed },
    /// There is no such method.
    UnknownMethod { class: u16, method: u16 },
    /// A content header has no room for what every content header has.
    Header,
    /// Something else came where the rest of a returned message was due.
    Unexpected { channel: u16, kind: &'static str },
    /// The broker allows no frame that is large enough.
    FrameMax(u32),
    /// More was returned, or could not be decoded, than can have been sent.
    TooManyReports(usize),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FrameType(byte) => {
                write!(f, "the peer does not speak AMQP 0-9-1: a frame begins with byte {byte}")
            }
            Self::FrameEnd { kind } => write!(f, "a {kind} frame does not end where its head says"),
            Self::TooLarge { kind, bytes, limit } => {
                write!(f, "a {kind} frame of {bytes} bytes is over the limit of {limit}")
            }
            Self::Method { class, method, why } => write!(f, "method {class}.{method} cannot be decoded: {why}"),
            Self::UnknownMethod { class, method } => write!(f, "there is no method {class}.{method}"),
            Self::Header => write!(f, "a content header ends before its properties"),
            Self::Unexpected { channel, kind } => {
                write!(f, "a {kind} frame came on channel {channel} instead of the rest of a returned message")
            }
            Self::FrameMax(bytes) => write!(
                f,
                "the broker's frame_max of {bytes} bytes is too small: set it to 8192 or more, or to 0 for no limit"
            ),
            Self::TooManyReports(limit) => {
                write!(f, "more than {limit} messages were returned or undecodable, and nobody waits for them")
            }
        }
    }
}

impl Error for Violation {}
