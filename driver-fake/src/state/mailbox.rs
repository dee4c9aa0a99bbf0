//! What a listener shares with the broker, and which listeners to wake after an operation.

use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

use crate::state::connection::EndReason;

/// What a listener shares with the broker: how it ended, and a wake-up for new messages.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    /// Notified when a message arrives for an empty buffer, when the listener
    /// stops or ends, and when a message is delayed.
    pub(crate) wake_up: Notify,
    /// Set once, when the channel ends and its unsettled messages are back in their queues.
    pub(crate) end: OnceLock<EndReason>,
}

/// The listeners to wake after an operation. Most operations wake at most one, which costs no allocation.
#[derive(Debug, Default)]
pub(crate) struct WakeUps {
    /// The common case, without a heap allocation.
    first: Option<Arc<Mailbox>>,
    rest: Vec<Arc<Mailbox>>,
}

impl WakeUps {
    /// Adding a mailbox twice wakes its listener once: `Notify` stores at most one permit.
    pub(crate) fn add(&mut self, mailbox: &Arc<Mailbox>) {
        match self.first {
            None => self.first = Some(Arc::clone(mailbox)),
            Some(_) => self.rest.push(Arc::clone(mailbox)),
        }
    }

    /// Wakes them. Call it without the broker's lock, which each woken listener takes at once.
    pub(crate) fn notify(self) {
        for mailbox in self.first.iter().chain(&self.rest) {
            mailbox.wake_up.notify_one();
        }
    }
}
