//! The reasons for which the frame reader ends a connection.

use std::error::Error;
use std::fmt;

use super::fields::Malformed;

/// What a peer sent that can neither be repaired nor passed on.
/// Each ends the connection, and its text is the reason in the error and in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation {
    /// The type of a frame is not one of AMQP 0-9-1.
    FrameType(u8),
    /// The byte behind the payload is not the end byte, so the stream is out of step.
    FrameEnd { kind: &'static str },
    /// A frame exceeds the agreed limit, or a content header 1 MiB. Both sizes are in bytes.
    TooLarge { kind: &'static str, bytes: u64, limit: usize },
    /// One of the fields of a method is malformed.
    Method { class: u16, method: u16, why: Malformed },
    /// lapin has no method with these numbers.
    UnknownMethod { class: u16, method: u16 },
    /// A content header is shorter than its fixed part, so the size of its body is unknown.
    Header,
    /// Another frame came before the rest of a returned message.
    Unexpected { channel: u16, kind: &'static str },
    /// The frame limit of the broker is below 8,192 bytes, with which lapin does not work.
    FrameMax(u32),
    /// More messages were returned, or could not be decoded, than can have been sent.
    /// The reports would fill the memory of this process.
    TooManyReports(usize),
}

impl fmt::Display for Violation {
    /// For operators: what the peer did, with both numbers where two are compared, and what to set for a frame limit.
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
                write!(f, "more than {limit} reports of returned or undecodable messages are pending")
            }
        }
    }
}

impl Error for Violation {}
