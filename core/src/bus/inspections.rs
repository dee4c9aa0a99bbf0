//! What calls that were about to time out found in the queues of their servers.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use crate::Deadline;
use crate::driver::{Address, QueueCounts, Transport};

/// The least time between two looks at one queue, and how long what was seen may be told.
const APART: Duration = Duration::from_secs(10);

/// The last look at each queue, so that a thousand calls to one server look once.
#[derive(Debug, Default)]
pub(crate) struct Looks(Mutex<HashMap<Address, Look>>);

#[derive(Debug)]
struct Look {
    begun: Instant,
    seen: Seen,
}

/// What a look has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It has not ended, or there was none lately, or the queue could not be looked at.
    Nothing,
    NoQueue,
    Queue(QueueCounts),
}

impl Looks {
    /// Looks at the queue of `address`, unless that was done lately.
    pub(crate) async fn look(&self, transport: &dyn Transport, address: &Address, deadline: Deadline) {
        if !self.begin(address) {
            return;
        }
        match transport.inspect(address, deadline).await {
            Ok(queue) => {
                if let Some(look) = self.looks().get_mut(address) {
                    look.seen = queue.map_or(Seen::NoQueue, Seen::Queue);
                }
            }
            Err(error) => debug!(%error, %address, "the queue of a call could not be looked at"),
        }
    }

    /// What was seen of the queue of `address` lately.
    pub(crate) fn lately(&self, address: &Address) -> Seen {
        let looks = self.looks();
        let look = looks.get(address).filter(|look| look.begun.elapsed() < APART);
        look.map_or(Seen::Nothing, |look| look.seen)
    }

    fn begin(&self, address: &Address) -> bool {
        let mut looks = self.looks();
        looks.retain(|_, look| look.begun.elapsed() < APART);
        if looks.contains_key(address) {
            return false;
        }
        looks.insert(address.clone(), Look { begun: Instant::now(), seen: Seen::Nothing });
        true
    }

    fn looks(&self) -> MutexGuard<'_, HashMap<Address, Look>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
