//! What a queue is to its subscription: shared by name, or private to its reader.

/// The role of a queue that could not be declared or consumed. It decides whether another name helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueRole {
    /// A reply queue: callers put its name into requests.
    /// Losing it loses the replies on their way, so another name cannot help.
    Inbox,
    /// A private queue that is reached through an exchange, so no peer has its name. A fanout queue.
    /// Under a new name it is bound to the same exchange, and peers notice nothing.
    Private,
    /// A queue that consumers of other processes may read. Its name is fixed, so only a retry can help.
    Shared,
}
