//! The role of a queue in its subscription.

/// The role of a queue that could not be declared or consumed. It decides whether another name helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueRole {
    /// A reply queue: callers put its name into requests.
    Inbox,
    /// A private queue that is reached through an exchange, so no peer has its name.
    Private,
    /// A queue with consumers of other processes.
    Shared,
}
