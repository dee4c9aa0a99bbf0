//! Schedules checks of the queues of listeners. A queue, or the exchange of its bindings,
//! can be lost without a cancellation; so they are checked when something suggests that, and otherwise at intervals.
//!
//! This file decides when; the recovery of each listener checks its own queues.
//! Requests are only flags, so many suspicions in a row cause one check.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oslo_messaging::driver::{Address, QueuePlan, jitter};
use tokio::sync::{Mutex as Turns, Notify, OwnedMutexGuard};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// The least time between two checks of one listener, whatever is suspected.
/// So a peer that keeps publishing to a missing queue cannot keep a listener busy.
const APART: Duration = Duration::from_secs(10);

/// The listeners of a transport, and which of them must check their queues.
/// One per transport. The task of `run` belongs to the transport.
#[derive(Debug)]
pub(crate) struct QueueChecks {
    /// The least time between two scheduled checks of all listeners; zero turns all checks off.
    interval: Duration,
    /// The id of the next listener. Ids are never used again.
    next: AtomicU64,
    /// Held for short lookups only, never across an await.
    listeners: Mutex<HashMap<u64, Arc<CheckedListener>>>,
    /// Held during a check, so that checks take one channel at a time.
    turn: Arc<Turns<()>>,
}

/// The queues of one listener, and whether a check is requested.
/// Shared by the list and the listener's registration.
#[derive(Debug)]
struct CheckedListener {
    /// As they were last declared; a rename replaces them.
    queues: Mutex<Vec<QueuePlan>>,
    /// Set before `woken`, so a woken listener sees it.
    requested: AtomicBool,
    /// Keeps one permit, so a request between two waits is not lost.
    woken: Notify,
}

/// One listener's registration. Dropping it removes the listener.
#[derive(Debug)]
pub(crate) struct QueueCheck {
    /// Where its turn comes from, and where its drop removes it.
    checks: Arc<QueueChecks>,
    /// Its key in the list of listeners.
    id: u64,
    /// Shared with the list, through which checks are requested.
    listener: Arc<CheckedListener>,
    /// When the next check may begin.
    next: Instant,
}

impl QueueChecks {
    /// `interval` is `AmqpConfig::queue_checks`: the least time between two scheduled checks, or zero for none at all.
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, next: AtomicU64::new(0), listeners: Mutex::default(), turn: Arc::default() }
    }

    /// Requests a check of every listener at intervals, until `closing` is cancelled.
    /// Ends at once if checks are off. The wait is between one and two intervals.
    pub(crate) async fn run(self: Arc<Self>, closing: CancellationToken) {
        while !self.interval.is_zero() {
            // A random part keeps processes that started together from checking together.
            let pause = self.interval.saturating_add(self.interval.mul_f64(jitter()));
            tokio::select! {
                () = closing.cancelled() => return,
                () = sleep(pause) => self.suspect(|_| true),
            };
        }
    }

    /// Adds a listener of `queues`, which have just been declared, so nothing is requested yet.
    pub(crate) fn register(self: &Arc<Self>, queues: Vec<QueuePlan>) -> QueueCheck {
        let listener = Arc::new(CheckedListener {
            queues: Mutex::new(queues),
            requested: AtomicBool::new(false),
            woken: Notify::new(),
        });
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.listeners().insert(id, Arc::clone(&listener));
        QueueCheck { checks: Arc::clone(self), id, listener, next: Instant::now() }
    }

    /// Whether a listener of this transport consumes the queue of this name.
    /// Only such a reply queue may be inspected: a look at any other would keep it from expiring.
    pub(crate) fn reads(&self, queue: &str) -> bool {
        self.listeners().values().any(|listener| listener.has(|plan| plan.name == queue))
    }

    /// Requests a check because an inspection found that the queue of this name is missing or has no consumer.
    /// It has no effect on a queue that no listener of this transport reads.
    pub(crate) fn suspect_queue(&self, queue: &str) {
        self.suspect(|plan| plan.name == queue);
    }

    /// Requests a check because the exchange of this name was missing, and its bindings with it.
    /// Only listeners with a binding to it are checked.
    pub(crate) fn suspect_exchange(&self, exchange: &str) {
        self.suspect(|plan| plan.bindings.iter().any(|binding| binding.exchange.name == exchange));
    }

    /// Requests a check because a message to this address found no queue.
    /// Returns true if a queue of this transport should have received it.
    ///
    /// False if checks are off, whatever queues there are.
    pub(crate) fn suspect_route(&self, to: &Address) -> bool {
        let (exchange, key) = (to.exchange(), to.routing_key());
        self.suspect(|plan| {
            let bound = plan.bindings.iter().any(|own| own.exchange == exchange && own.routing_key == key);
            bound || exchange.name.is_empty() && plan.name == key
        })
    }

    /// Requests a check of the listeners with such a queue; returns whether there are any.
    /// May be called from any task: it never waits.
    fn suspect(&self, concerns: impl Fn(&QueuePlan) -> bool) -> bool {
        if self.interval.is_zero() {
            return false;
        }
        let mut any = false;
        for listener in self.listeners().values().filter(|listener| listener.has(&concerns)) {
            any = true;
            listener.requested.store(true, Ordering::Release);
            listener.woken.notify_one();
        }
        any
    }

    /// Each lock is held for a few lookups. A panic meanwhile leaves whole entries, so poison is ignored.
    fn listeners(&self) -> MutexGuard<'_, HashMap<u64, Arc<CheckedListener>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CheckedListener {
    /// The queues may change with a rename, so each request looks at the current ones.
    fn has(&self, concerns: impl Fn(&QueuePlan) -> bool) -> bool {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).iter().any(concerns)
    }
}

impl QueueCheck {
    /// Replaces the queues of the listener after a rename. Later requests match the new names only.
    pub(crate) fn set_queues(&self, queues: Vec<QueuePlan>) {
        *self.listener.queues.lock().unwrap_or_else(PoisonError::into_inner) = queues;
    }

    /// Waits until a check is requested and may begin.
    ///
    /// Cancellation loses no request.
    pub(crate) async fn due(&self) {
        while !self.listener.requested.load(Ordering::Acquire) {
            self.listener.woken.notified().await;
        }
        sleep_until(self.next).await;
    }

    /// Waits until no other listener of the transport is being checked, and begins the check that was requested.
    /// A request that comes during the check is kept for the next one. The guard must live until the check is over.
    pub(crate) async fn begin(&self) -> OwnedMutexGuard<()> {
        // Before the check: a request during it may be about something that it has already passed.
        self.listener.requested.store(false, Ordering::Release);
        Arc::clone(&self.checks.turn).lock_owned().await
    }

    /// Ends a check; the next one of this listener begins [`APART`] later at the earliest.
    pub(crate) fn end(&mut self) {
        self.next = Instant::now() + APART;
    }
}

impl Drop for QueueCheck {
    /// A check that is under way holds its turn until its own guard is dropped.
    fn drop(&mut self) {
        self.checks.listeners().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use oslo_messaging::driver::{Binding, Exchange, Lifetime};
    use tokio::time::timeout;

    use super::*;

    fn queue(name: &str) -> QueuePlan {
        let bindings = vec![Binding::new(Exchange::topic("x"), name)];
        QueuePlan::new(name, Lifetime::Shared, bindings)
    }

    async fn is_wanted(check: &QueueCheck) -> bool {
        timeout(Duration::from_millis(1), check.due()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspicion_concerns_only_listeners_with_the_queue_the_exchange_or_the_route() {
        let checks = Arc::new(QueueChecks::new(Duration::from_secs(300)));
        let one = checks.register(vec![queue("one")]);
        checks.suspect_queue("two");
        checks.suspect_exchange("y");
        let to = |topic: &str| Address::Topic { exchange: "x".into(), topic: topic.into() };
        assert!(!checks.suspect_route(&to("two")) && !is_wanted(&one).await);
        assert!(checks.suspect_route(&to("one")) && is_wanted(&one).await);
        let two = checks.register(vec![queue("two")]);
        checks.suspect_exchange("x");
        assert!(is_wanted(&two).await && checks.reads("two"));
        drop(two);
        assert!(!checks.reads("two"));
    }

    #[tokio::test(start_paused = true)]
    async fn every_listener_is_checked_at_intervals_and_none_where_checks_are_off() {
        let interval = Duration::from_secs(300);
        for (interval, expected) in [(interval, true), (Duration::ZERO, false)] {
            let checks = Arc::new(QueueChecks::new(interval));
            let check = checks.register(vec![queue("one")]);
            let closing = CancellationToken::new();
            let running = tokio::spawn(Arc::clone(&checks).run(closing.clone()));
            assert!(timeout(interval, check.due()).await.is_err(), "not before the interval is over");
            assert_eq!(timeout(2 * interval, check.due()).await.is_ok(), expected);
            closing.cancel();
            running.await.unwrap();
        }
    }
}
