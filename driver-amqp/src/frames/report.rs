//! What a reader says beside the stream.

use super::version::ServerVersion;

/// One thing that others need to know, in the order of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Report {
    /// The broker says which version it is.
    Server(ServerVersion),
    /// The properties of a message cannot be decoded, and are empty now.
    Undecodable { channel: u16, delivery_tag: u64, reason: String },
    /// The broker returned a message.
    Returned { channel: u16, returned: Returned },
    /// A channel was opened: whatever was reported of an earlier one of its number is past.
    Opened { channel: u16 },
}

/// A message that no queue took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Returned {
    /// The id of the message; empty if it cannot be read.
    pub(crate) message_id: String,
    pub(crate) code: u16,
    pub(crate) text: String,
}
