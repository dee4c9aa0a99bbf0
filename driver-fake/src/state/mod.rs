//! Everything a broker knows, behind one lock. Each operation is a method, in the file of what it is about; none waits.
//!
//! - A publish: [`destination`] says what to declare, `topology` declares, `exchange` and `routing` find the queues,
//!   `queue` keeps the message, and `routing` delivers it to a consumer.
//! - A subscription: `topology` declares and consumes, [`channel`] keeps the consumers and their unsettled messages.
//! - An end: [`connection`] ends its channels, `channel` requeues, `topology` lets private queues expire.
//! - A delay: [`delayed`] keeps the message until an operation finds that it is due.

pub(crate) mod channel;
pub(crate) mod connection;
pub(crate) mod delayed;
pub(crate) mod destination;
mod exchange;
pub(crate) mod id;
pub(crate) mod inspect;
pub(crate) mod mailbox;
mod queue;
mod routing;
mod topology;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio::time::Instant;

use crate::config::FakeConfig;
use crate::counters::Counters;
use crate::state::channel::Channel;
use crate::state::connection::Connection;
use crate::state::delayed::Delayed;
use crate::state::exchange::Exchange;
use crate::state::id::{Id, IdMap};
use crate::state::mailbox::WakeUps;
use crate::state::queue::Queue;

/// The state of a broker. `Shared::with` is the only way to it.
///
/// Invariant between operations: no queue has both a ready message that has not expired and a consumer with room.
///
/// Ids, not references, connect its parts, so that any part can be removed: a stale id finds nothing.
#[derive(Debug, Default)]
pub(crate) struct BrokerState {
    /// The limits. They stay as they are, except for the delivery limit.
    pub(crate) config: FakeConfig,
    /// Declared exchanges by name. The default exchange is not among them: it routes by queue name.
    pub(crate) exchanges: HashMap<Arc<str>, Exchange>,
    /// Queues by name. Deleting a queue frees its name; its id is not reused.
    pub(crate) queue_ids: HashMap<Arc<str>, Id>,
    /// By id. An id is never used again, so a stale one finds nothing.
    pub(crate) queues: IdMap<Queue>,
    /// One for each listener that was not closed, dropped or lost.
    pub(crate) channels: IdMap<Channel>,
    /// One for each transport that was not dropped, also after its end.
    pub(crate) connections: IdMap<Connection>,
    /// The private queues without a consumer, by the time they are deleted.
    pub(crate) expiring: BTreeSet<(Instant, Id)>,
    /// Messages that a fault delays. They are in no queue, and count as leftovers.
    pub(crate) delayed: Delayed,
    /// The reason of the alarm, while one is raised.
    pub(crate) blocked: Option<String>,
    /// What has happened since the broker was made. Never reset.
    pub(crate) counters: Counters,
    /// Collected during an operation; the caller of the operation notifies them without the lock.
    pub(crate) wake_ups: WakeUps,
    /// Scratch list of the queues of one message; kept for its capacity.
    pub(crate) routed: Vec<Id>,
    last_id: Id,
}

impl BrokerState {
    pub(crate) fn new(config: FakeConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// One sequence for queues, channels, connections and delayed messages, so ids also order them in time.
    pub(crate) fn next_id(&mut self) -> Id {
        self.last_id += 1;
        self.last_id
    }

    /// Deletes expired queues and delivers delayed messages that became due
    /// since the last operation, in the order of time.
    ///
    /// There is no timer: every access to the state calls this first, so no caller can see the difference.
    pub(crate) fn apply_due(&mut self) {
        if self.expiring.is_empty() && self.delayed.is_empty() {
            return;
        }
        let now = Instant::now();
        loop {
            let expiry = self.expiring.first().map(|(at, _)| *at);
            let arrival = self.delayed.next_due();
            match (expiry, arrival) {
                (Some(at), _) if at <= now && arrival.is_none_or(|arrival| at <= arrival) => {
                    let (_, queue) = self.expiring.pop_first().expect("the set is not empty");
                    self.delete_queue(queue);
                }
                (_, Some(at)) if at <= now => self.deliver_next_delayed(),
                _ => return,
            }
        }
    }
}
