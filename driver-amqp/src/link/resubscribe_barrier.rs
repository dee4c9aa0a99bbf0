//! Holds publishers back after a reconnect, until every listener has tried to resubscribe.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use oslo_messaging::driver::UnhealthyPart;
use tokio::sync::watch;

use crate::link::health::HealthReporter;
use crate::link::state_machine::Generation;

/// The listeners of a transport, each with the last link on which it has tried to resubscribe.
/// Without it, a client that reconnects first would publish to queues
/// that the listeners of its own process have not bound yet.
///
/// It opens after one attempt of each listener, so one that cannot resubscribe delays publishers only once per link.
#[derive(Debug)]
pub(crate) struct ResubscribeBarrier {
    /// Ids grow, so they are also the order in which listeners subscribed.
    next: AtomicU64,
    /// A watch, so waiting needs no lock.
    tried: watch::Sender<HashMap<u64, Generation>>,
    /// Lists the members that report themselves as unhealthy.
    health: Arc<HealthReporter>,
}

/// One listener. Dropping it removes the listener, which nothing waits for any more.
#[derive(Debug)]
pub(crate) struct BarrierMember {
    /// A member keeps the barrier alive, not the other way round.
    barrier: Arc<ResubscribeBarrier>,
    /// Its place in the order of subscribing, and its key in the health.
    id: u64,
    /// The name of the listener in the health.
    part: String,
}

impl ResubscribeBarrier {
    /// Without members it is open for every generation.
    pub(crate) fn new(health: Arc<HealthReporter>) -> Self {
        Self { next: AtomicU64::new(0), tried: watch::Sender::default(), health }
    }

    /// Adds a listener that is subscribed on the link of `generation`; `part` names it in the health.
    /// It counts as having tried that link, so the barrier stays open.
    pub(crate) fn register(self: &Arc<Self>, part: String, generation: Generation) -> BarrierMember {
        let entry = BarrierMember { barrier: Arc::clone(self), id: self.next.fetch_add(1, Ordering::Relaxed), part };
        entry.mark_tried(generation);
        entry
    }

    /// Waits until every listener has tried the link of `generation`, successfully or not.
    ///
    /// A listener that registers meanwhile counts too, with the link on which it subscribed.
    ///
    /// Cancellation loses nothing: what was tried stays noted.
    pub(crate) async fn wait_for_all(&self, generation: Generation) {
        let mut watch = self.tried.subscribe();
        // It fails only if the sender is dropped, which `self` owns.
        let _ = watch.wait_for(|tried| tried.values().all(|tried| *tried >= generation)).await;
    }
}

impl BarrierMember {
    /// Waits until every listener that was registered before this one has tried the link of `generation`.
    /// Listeners that leave meanwhile are not waited for. Used only while the channel limit is tight.
    pub(crate) async fn wait_for_earlier(&self, generation: Generation) {
        let mut watch = self.barrier.tried.subscribe();
        let earlier = |tried: &HashMap<u64, Generation>| {
            tried.iter().filter(|(id, _)| **id < self.id).all(|(_, tried)| *tried >= generation)
        };
        // It fails only if the sender is dropped, which the barrier owns.
        let _ = watch.wait_for(earlier).await;
    }

    /// Notes one attempt of this listener on the link of `generation`, successful or not. It may open the barrier.
    pub(crate) fn mark_tried(&self, generation: Generation) {
        self.barrier.tried.send_modify(|tried| {
            tried.insert(self.id, generation);
        });
    }

    /// Reports a listener that cannot resubscribe; the transport
    /// becomes unhealthy. A repeated report replaces the reason.
    pub(crate) fn set_unhealthy(&self, reason: String) {
        self.barrier.health.set_part(self.id, Some(UnhealthyPart::new(&self.part, reason)));
    }

    /// Takes the listener out of the unhealthy parts of the transport.
    pub(crate) fn clear_unhealthy(&self) {
        self.barrier.health.set_part(self.id, None);
    }
}

impl Drop for BarrierMember {
    /// The health is cleared too: a listener that is gone is no problem of the transport.
    fn drop(&mut self) {
        self.clear_unhealthy();
        self.barrier.tried.send_modify(|tried| {
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
    async fn the_barrier_opens_when_every_remaining_listener_has_tried() {
        let barrier = Arc::new(ResubscribeBarrier::new(Arc::new(HealthReporter::ready())));
        let all_tried =
            async |generation| timeout(Duration::from_secs(1), barrier.wait_for_all(generation)).await.is_ok();
        assert!(all_tried(7).await);
        let (one, two) = (barrier.register("one".into(), 1), barrier.register("two".into(), 1));
        assert!(all_tried(1).await);
        one.mark_tried(2);
        assert!(!all_tried(2).await);
        drop(two);
        assert!(all_tried(2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn listeners_take_turns_in_the_order_in_which_they_came() {
        let barrier = Arc::new(ResubscribeBarrier::new(Arc::new(HealthReporter::ready())));
        let [one, two, three] = ["one", "two", "three"].map(|part| barrier.register(part.into(), 1));
        let turn =
            async |entry: &BarrierMember| timeout(Duration::from_secs(1), entry.wait_for_earlier(2)).await.is_ok();
        assert!(turn(&one).await && !turn(&two).await && !turn(&three).await);
        one.mark_tried(2);
        assert!(turn(&two).await && !turn(&three).await);
        drop(two);
        assert!(turn(&three).await);
    }
}
