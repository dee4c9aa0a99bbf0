//! Recovery of listeners after a loss of their connection, channel, consumer or queue.
//!
//! The listener sees a loss first and reports it through `handle`.
//! `listener_recovery` is the task that acts on it,
//! `attempts` counts, and `action` decides after a failed attempt. Results go back through `restored`.

pub(crate) mod action;
pub(crate) mod attempts;
pub(crate) mod handle;
pub(crate) mod listener_recovery;
pub(crate) mod lost_consumers;
pub(crate) mod queue_check;
pub(crate) mod restored;
