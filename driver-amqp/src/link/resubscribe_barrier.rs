//! Who has to come back after a loss before publishers may go on: every listener, or at least its first try.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use oslo_messaging::UnhealthyPart;
use tokio::sync::watch;

use crate::link::health::Status;
use crate::link::state_machine::Generation;

/// The listeners of a transport, each with the last link it has tried.
#[derive(Debug)]
pub(crate) struct Roll {
    next: AtomicU64,
    tried: watch::Sender<HashMap<u64, Generation>>,
    status: Arc<Status>,
}

/// One listener on the roll. Dropping it strikes it off.
#[derive(Debug)]
pub(crate) struct Entry {
    roll: Arc<Roll>,
    id: u64,
    /// What it is called in the health.
    part: String,
}

impl Roll {
    pub(crate) fn new(status: Arc<Status>) -> Self {
        Self { next: AtomicU64::new(0), tried: watch::Sender::default(), status }
    }

    /// Adds a listener that is at home on the link of `generation`; `part` is what it is called in the health.
    pub(crate) fn enter(self: &Arc<Self>, part: String, generation: Generation) -> Entry {
        let entry = Entry { roll: Arc::clone(self), id: self.next.fetch_add(1, Ordering::Relaxed), part };
        entry.tried(generation);
        entry
    }

    /// Waits until everybody has tried the link of `generation`.
    pub(crate) async fn complete(&self, generation: Generation) {
        let mut watch = self.tried.subscribe();
        // It fails only if the sender is gone, which is ours.
        let _ = watch.wait_for(|tried| tried.values().all(|tried| *tried >= generation)).await;
    }
}

impl Entry {
    /// Waits until every listener that came before this one has tried the link of `generation`.
    pub(crate) async fn turn(&self, generation: Generation) {
        let mut watch = self.roll.tried.subscribe();
        let earlier = |tried: &HashMap<u64, Generation>| {
            tried.iter().filter(|(id, _)| **id < self.id).all(|(_, tried)| *tried >= generation)
        };
        // As above.
        let _ = watch.wait_for(earlier).await;
    }

    /// Notes that this listener has tried the link of `generation`, successfully or not.
    pub(crate) fn tried(&self, generation: Generation) {
        self.roll.tried.send_modify(|tried| {
            tried.insert(self.id, generation);
        });
    }

    /// Reports a listener that cannot come back; the transport becomes unhealthy.
    pub(crate) fn ails(&self, reason: String) {
        self.roll.status.ails(self.id, Some(UnhealthyPart::new(&self.part, reason)));
    }

    /// Says that it is back.
    pub(crate) fn well(&self) {
        self.roll.status.ails(self.id, None);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.well();
        self.roll.tried.send_modify(|tried| {
            tried.remove(&self.id);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_complete_when_everybody_who_is_still_there_has_tried() {
        let roll = Arc::new(Roll::new(Arc::new(Status::ready())));
        let complete = async |generation| timeout(Duration::from_secs(1), roll.complete(generation)).await.is_ok();
        assert!(complete(7).await);
        let (one, two) = (roll.enter("one".into(), 1), roll.enter("two".into(), 1));
        assert!(complete(1).await);
        one.tried(2);
        assert!(!complete(2).await);
        drop(two);
        assert!(complete(2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn listeners_take_turns_in_the_order_in_which_they_came() {
        let roll = Arc::new(Roll::new(Arc::new(Status::ready())));
        let [one, two, three] = ["one", "two", "three"].map(|part| roll.enter(part.into(), 1));
        let turn = async |entry: &Entry| timeout(Duration::from_secs(1), entry.turn(2)).await.is_ok();
        assert!(turn(&one).await && !turn(&two).await && !turn(&three).await);
        one.tried(2);
        assert!(turn(&two).await && !turn(&three).await);
        drop(two);
        assert!(turn(&three).await);
    }
}
