//! The reports of one connection's frame reader, for publishers and listeners.
//!
//! lapin has no way to carry them, so they are kept beside it, by channel.
//! A channel number that is opened again drops the reports of its predecessor.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use metrics::counter;

use super::parse::repairs::Repairs;
use super::parse::violation::Violation;
use super::report::{Report, Returned};
use super::version::ServerVersion;

/// How many reports may wait. A correct broker causes at most one per unconfirmed or unacknowledged message.
/// More of them would be a memory leak that the peer controls, so the connection ends.
const MOST: usize = 65_536;

/// The frame reader adds a report before lapin sees the next frame.
/// So a user that has seen a later frame finds every earlier report here.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    /// Set before login, and never again.
    server: OnceLock<ServerVersion>,
    /// Taken by lapin's thread only when there is a report.
    waiting: Mutex<Waiting>,
    /// The numbers of both, so that the lock is not needed while there are none.
    ///
    /// Written under the lock. A reader that was woken
    /// by a later frame sees the number, because lapin's queues order both.
    undecodable: AtomicUsize,
    /// All channels together, so a channel without a return may take the lock in vain.
    returned: AtomicUsize,
}

/// What no publisher or listener has taken yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Waiting {
    /// By channel and delivery tag.
    undecodable: HashMap<(u16, u64), String>,
    /// By channel, in the order of the stream.
    returned: HashMap<u16, Vec<Returned>>,
}

impl Notices {
    /// The version that the broker sent before login; `None` before that, and if it sent none.
    pub(crate) fn server_version(&self) -> Option<ServerVersion> {
        self.server.get().copied()
    }

    /// Why the properties of a delivery could not be decoded; `None` if they could. Removes the report.
    /// To be called for every delivery; without a report it takes no lock.
    pub(crate) fn take_undecodable(&self, channel: u16, delivery_tag: u64) -> Option<String> {
        if self.undecodable.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut waiting = self.lock();
        let reason = waiting.undecodable.remove(&(channel, delivery_tag));
        self.count(&waiting);
        reason
    }

    /// Removes and returns the reports of messages that were returned on `channel`, in order.
    /// To be called before each confirm of `channel` is handled; without a report it takes no lock.
    pub(crate) fn take_returned(&self, channel: u16) -> Vec<Returned> {
        if self.returned.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let mut waiting = self.lock();
        let returned = waiting.returned.remove(&channel).unwrap_or_default();
        self.count(&waiting);
        returned
    }

    /// Everything that waits, without removing it: tests compare two readers by it.
    #[cfg(any(test, fuzzing))]
    pub(super) fn snapshot(&self) -> (Option<ServerVersion>, Waiting) {
        (self.server_version(), self.lock().clone())
    }

    /// Files a report under its channel. A channel that was opened drops the reports of its predecessor.
    ///
    /// The version is recorded once, and a second one ignored.
    ///
    /// Fails with [`Violation::TooManyReports`] if more than 65,536 reports wait.
    pub(super) fn note(&self, report: Report) -> Result<(), Violation> {
        if let Report::Server(version) = report {
            // Only the first connection.start counts.
            let _ = self.server.set(version);
            return Ok(());
        }
        let mut waiting = self.lock();
        match report {
            Report::Undecodable { channel, delivery_tag, reason } => {
                tracing::debug!(
                    channel,
                    delivery_tag,
                    reason,
                    "the frame reader could not decode the properties of a message; the message is delivered with empty properties"
                );
                waiting.undecodable.insert((channel, delivery_tag), reason);
            }
            Report::Returned { channel, returned } => waiting.returned.entry(channel).or_default().push(returned),
            Report::Opened { channel } => {
                waiting.undecodable.retain(|(of, _), _| *of != channel);
                waiting.returned.remove(&channel);
            }
            Report::Server(_) => {}
        }
        self.count(&waiting);
        let total = self.undecodable.load(Ordering::Relaxed) + self.returned.load(Ordering::Relaxed);
        if total > MOST { Err(Violation::TooManyReports(MOST)) } else { Ok(()) }
    }

    /// Adds the repairs to the metric, which sums up all connections of the process, and logs them at `debug`.
    pub(super) fn note_repairs(repairs: Repairs) {
        tracing::debug!(?repairs, "the frame reader repaired frames that lapin cannot parse");
        for (repair, count) in [
            ("short_string", repairs.short_strings),
            ("too_deep", repairs.too_deep),
            ("trimmed", repairs.trimmed),
            ("emptied", repairs.emptied),
        ] {
            if count > 0 {
                counter!("oslo_messaging_amqp_repairs_total", "repair" => repair).increment(count);
            }
        }
    }

    /// Must be called under the lock, after each change.
    fn count(&self, waiting: &Waiting) {
        self.undecodable.store(waiting.undecodable.len(), Ordering::Release);
        self.returned.store(waiting.returned.values().map(Vec::len).sum(), Ordering::Release);
    }

    /// A panic while it is held leaves whole entries, so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
