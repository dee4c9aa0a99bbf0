//! Recovery of listeners after a loss of their connection, channel, consumer or queue.

pub(crate) mod action;
pub(crate) mod handle;
pub(crate) mod listener_recovery;
pub(crate) mod lost_consumers;
pub(crate) mod queue_check;
pub(crate) mod restored;
