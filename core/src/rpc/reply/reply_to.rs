//! The reply queue of a call, with the id under which its caller waits.

use crate::Deadline;

/// Where the answer to a call goes, and until when it is of use.
#[derive(Debug, Clone)]
pub(crate) struct ReplyTo {
    pub(crate) msg_id: String,
    pub(crate) queue: String,
    /// When the caller has given up, even by a clock that differs from ours, if that is known (`server/expiry.rs`).
    pub(crate) stale_from: Option<Deadline>,
}
