//! The reports of a frame reader: facts that lapin does not pass on.

use super::version::ServerVersion;

/// Something that publishers or listeners need to know, in the order of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Report {
    /// The broker sent its version, in connection.start. Only the first counts.
    Server(ServerVersion),
    /// The properties of a message could not be decoded, and were removed.
    Undecodable { channel: u16, delivery_tag: u64, reason: String },
    /// The broker returned a message, which was removed from the stream.
    Returned { channel: u16, returned: Returned },
    /// A channel was opened: reports about an earlier channel of this number are obsolete.
    Opened { channel: u16 },
}

/// A message that the broker returned because no queue took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Returned {
    /// The message id; empty if it cannot be decoded.
    pub(crate) message_id: String,
    /// 312 for a message that no queue is bound for.
    pub(crate) code: u16,
    /// The broker's words, with `?` for bytes that are not UTF-8.
    pub(crate) text: String,
}
