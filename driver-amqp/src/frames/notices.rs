//! What the reader of a connection reported, for those who need it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use metrics::counter;

use super::parse::repairs::Repairs;
use super::parse::violation::Violation;
use super::report::{Report, Returned};
use super::version::ServerVersion;

/// How many reports may wait. There are no more of them than messages that are unconfirmed or unacknowledged, unless the
/// broker reports what was never sent.
const MOST: usize = 65_536;

/// Filled by the reader of a connection before lapin sees what comes next in the stream; so whoever has seen that finds
/// here what was reported before it.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    server: OnceLock<ServerVersion>,
    waiting: Mutex<Waiting>,
    /// How many there are of either, so that nobody needs the lock while there are none.
    undecodable: AtomicUsize,
    returned: AtomicUsize,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Waiting {
    undecodable: HashMap<(u16, u64), String>,
    returned: HashMap<u16, Vec<Returned>>,
}

impl Notices {
    /// The version that the broker gave before login.
    pub(crate) fn server_version(&self) -> Option<ServerVersion> {
        self.server.get().copied()
    }

    /// Why the properties of a delivery cannot be decoded; `None` if they could be. It is told once.
    pub(crate) fn take_undecodable(&self, channel: u16, delivery_tag: u64) -> Option<String> {
        if self.undecodable.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut waiting = self.lock();
        let reason = waiting.undecodable.remove(&(channel, delivery_tag));
        self.count(&waiting);
        reason
    }

    /// The messages that were returned on `channel` since this was asked last, in their order.
    pub(crate) fn take_returned(&self, channel: u16) -> Vec<Returned> {
        if self.returned.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let mut waiting = self.lock();
        let returned = waiting.returned.remove(&channel).unwrap_or_default();
        self.count(&waiting);
        returned
    }

    /// Everything that waits, for comparison.
    #[cfg(any(test, fuzzing))]
    pub(super) fn snapshot(&self) -> (Option<ServerVersion>, Waiting) {
        (self.server_version(), self.lock().clone())
    }

    /// Takes in a report.
    ///
    /// # Errors
    /// Too many wait already.
    pub(super) fn note(&self, report: Report) -> Result<(), Violation> {
        if let Report::Server(version) = report {
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

    /// Counts what was repaired.
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

    fn count(&self, waiting: &Waiting) {
        self.undecodable.store(waiting.undecodable.len(), Ordering::Release);
        self.returned.store(waiting.returned.values().map(Vec::len).sum(), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
