//! Inspections of server queues by calls that are about to time out.
//!
//! A call that is about to time out asks the driver how many consumers and messages its queue has, so that its error
//! can say whether a server is missing or busy. Many calls time out together when a server is gone; the results are
//! therefore shared for [`INTERVAL`].

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use crate::Deadline;
use crate::driver::{Address, QueueCounts, Transport};

/// The shortest time between two inspections of one queue, and how long a finding may be reported.
const INTERVAL: Duration = Duration::from_secs(10);

/// The last inspection of each queue, so that a thousand calls to one server inspect it once.
#[derive(Debug, Default)]
pub(crate) struct Inspections(Mutex<HashMap<Address, Inspection>>);

/// One inspection, from its begin; while it is under way its finding is `Nothing`.
#[derive(Debug)]
struct Inspection {
    /// The interval counts from here, so that a slow inspection is not begun a second time.
    begun: Instant,
    finding: Finding,
}

/// What an inspection found, as the error of a call shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It has not ended, or there was none lately, or the queue could not be looked at.
    Nothing,
    NoQueue,
    Queue(QueueCounts),
}

impl Inspections {
    /// Inspects the queue of `address`, unless that was done within [`INTERVAL`].
    pub(crate) async fn inspect(&self, transport: &dyn Transport, address: &Address, deadline: Deadline) {
        if !self.begin(address) {
            return;
        }
        match transport.inspect(address, deadline).await {
            Ok(queue) => {
                // The entry may be gone if the inspection took longer than the interval.
                if let Some(inspection) = self.entries().get_mut(address) {
                    inspection.finding = queue.map_or(Finding::NoQueue, Finding::Queue);
                }
            }
            Err(error) => {
                debug!(%error, %address, "the queue of a call that is about to time out could not be inspected");
            }
        }
    }

    /// What the last inspection of the queue of `address` found, if it began within [`INTERVAL`].
    pub(crate) fn latest(&self, address: &Address) -> Finding {
        let entries = self.entries();
        let inspection = entries.get(address).filter(|inspection| inspection.begun.elapsed() < INTERVAL);
        inspection.map_or(Finding::Nothing, |inspection| inspection.finding)
    }

    /// Registers an inspection of `address`, unless another began within [`INTERVAL`]; whether it did.
    fn begin(&self, address: &Address) -> bool {
        let mut entries = self.entries();
        // Bounds the table: addresses of servers that come and go would stay for ever.
        entries.retain(|_, inspection| inspection.begun.elapsed() < INTERVAL);
        if entries.contains_key(address) {
            return false;
        }
        entries.insert(address.clone(), Inspection { begun: Instant::now(), finding: Finding::Nothing });
        true
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Address, Inspection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
