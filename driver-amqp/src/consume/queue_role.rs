//! What a queue is to its listener.

/// What kind of queue could not be declared or consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueRole {
    /// Its name travels in requests.
    Inbox,
    /// Ours, and reached through an exchange.
    Private,
    /// Everybody's.
    Shared,
}
