//! What a listener reports as lost, and what its recovery puts back.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use oslo_messaging::Result;
use oslo_messaging::driver::Address;
use tokio::sync::Notify;

use crate::consume::session::{RestoredConsumer, Session};

/// What was restored, and the address of the listener, which a renamed queue changes.
#[derive(Debug)]
pub(crate) enum Restored {
    /// It replaces everything that the listener reads from.
    /// The broker redelivers what the old session had not handed over.
    Session(Box<Session>, Address),
    /// It belongs to the session in use; one of an earlier session is dropped.
    Consumer(Box<RestoredConsumer>, Address),
}

/// A loss that a listener reports, with the number of the session that it read from.
#[derive(Debug)]
pub(crate) enum LossReport {
    /// The channel of the session of this number. A report about an earlier session is ignored.
    /// Repeated reports of one session cause one recovery.
    Session(u64),
    /// The consumer of this index. The others of the session are still read.
    Consumer(u64, usize),
}

/// What the recovery has restored and the listener has not taken yet.
/// A listener that does not poll leaves at most one session here.
#[derive(Debug, Default)]
pub(crate) struct RestoredQueue {
    /// Each with the number of its session.
    pub(super) queue: Mutex<VecDeque<(u64, Result<Restored>)>>,
    /// One permit is enough: the only reader looks into the queue before it waits.
    pub(super) more: Notify,
}

impl RestoredQueue {
    /// Adds what was restored, or the error that ends the listener. A new session replaces everything before it.
    /// An earlier session in the queue is dropped here, which closes its channel.
    pub(crate) fn put(&self, session: u64, found: Result<Restored>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(found, Ok(Restored::Session(..))) {
            // What is still here belongs to a lost channel.
            queue.clear();
        }
        // An error too comes behind what was restored before it.
        queue.push_back((session, found));
        self.more.notify_one();
    }
}
