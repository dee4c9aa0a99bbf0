//! What a listener reports as lost, and what its recovery puts back.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use oslo_messaging::{Address, Result};
use tokio::sync::Notify;

use crate::consume::session::{RestoredConsumer, Session};

/// What was put back, and the address that the listener has now.
#[derive(Debug)]
pub(crate) enum Restored {
    Session(Box<Session>, Address),
    Consumer(Box<RestoredConsumer>, Address),
}

/// What the listener has lost.
#[derive(Debug)]
pub(crate) enum LossReport {
    /// Its channel: of this number, lest a late loss end the next one.
    Session(u64),
    /// One consumer of it.
    Consumer(u64, usize),
}

/// Where the keeper leaves what it has put back.
#[derive(Debug, Default)]
pub(crate) struct RestoredQueue {
    /// With the number of the session that each is or belongs to.
    pub(super) queue: Mutex<VecDeque<(u64, Result<Restored>)>>,
    pub(super) more: Notify,
}

impl RestoredQueue {
    pub(crate) fn put(&self, session: u64, found: Result<Restored>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(found, Ok(Restored::Session(..))) {
            // What nobody took in time is of a channel that is lost.
            queue.clear();
        }
        queue.push_back((session, found));
        self.more.notify_one();
    }
}
