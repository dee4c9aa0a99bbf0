//! Replies and heartbeats on their way back to the callers.

pub(super) mod heartbeat;
mod missing_queues;
mod reply_deadline;
pub(super) mod reply_to;
pub(super) mod sender;
