//! Whom to wake once the lock is released.

use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

use crate::state::connection::End;

/// What a listener shares with the broker: a bell, and the reason of its end.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    /// Rung when something arrives for an empty buffer, when the listener stops or ends, and when a message is delayed.
    pub(crate) bell: Notify,
    /// Set once, when the channel ends; its unsettled messages are back in their queues by then.
    pub(crate) end: OnceLock<End>,
}

/// The mailboxes to ring after an operation. Most operations ring at most one, which costs no allocation.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    first: Option<Arc<Mailbox>>,
    rest: Vec<Arc<Mailbox>>,
}

impl Wakes {
    pub(crate) fn add(&mut self, mailbox: &Arc<Mailbox>) {
        match self.first {
            None => self.first = Some(Arc::clone(mailbox)),
            Some(_) => self.rest.push(Arc::clone(mailbox)),
        }
    }

    /// Rings them. Called without the lock: who is woken wants it at once.
    pub(crate) fn ring(self) {
        for mailbox in self.first.iter().chain(&self.rest) {
            mailbox.bell.notify_one();
        }
    }
}
