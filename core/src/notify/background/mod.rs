//! Notifications that are published in the background, from a bounded outbox.
//!
//! [`BackgroundNotifier::notify`] puts an event into the [`Outbox`] under a lock and returns; one task takes events
//! out and publishes up to [`OutboxConfig::in_flight`] of them at once. The task ends with the last handle.

pub(super) mod outbox;
pub(super) mod outbox_config;
pub(super) mod outbox_counts;
mod task;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use self::outbox::{Outbox, Queued};
use self::outbox_config::OutboxConfig;
use self::outbox_counts::OutboxCounts;
use super::notifier::Notifier;
use super::priority::Priority;
use super::redact::Redact;
use crate::{Deadline, Result};

/// Publishes events without blocking the caller: each goes to a bounded outbox, and one task publishes from there.
///
/// Use it where a request must not wait for the broker. Made by [`Notifier::background`]. Events are first attempted in
/// the order they were queued, and again until they are older than [`OutboxConfig::age`]. Losses are counted
/// ([`counts`](Self::counts), and the metric `oslo_messaging_notifications_lost_total` by its `reason`), and logged as
/// a warning at most once in [`OutboxConfig::log_interval`].
///
/// Cheap to clone; every clone shares the outbox. [`close`](Self::close) it before the process ends: when the last
/// clone is dropped, events that are still in the outbox are lost, with a warning.
#[derive(Clone)]
pub struct BackgroundNotifier {
    /// Makes each event on the task of the caller, who gets the error of a payload without a JSON form.
    notifier: Notifier,
    owner: Arc<TaskOwner>,
}

/// Held by every handle. With the last one the task ends, and what is left counts as abandoned.
struct TaskOwner {
    shared: Arc<SharedOutbox>,
    /// `None` once `close` has taken it.
    task: Mutex<Option<AbortOnDropHandle<()>>>,
}

/// Shared by the handles and the task: the outbox, and the two signals that say it has changed.
struct SharedOutbox {
    /// Locked for a moment by each `notify`, never across an await.
    outbox: Mutex<Outbox>,
    /// Wakes the task: there is an event, or a loss to report.
    arrived: Notify,
    /// Wakes who waits for the outbox: an event has left it.
    left: Notify,
}

impl Notifier {
    /// A notifier that never waits: events go to an outbox with the limits of `config`, and a task publishes them from
    /// there. Must be called inside a tokio runtime.
    #[must_use]
    pub fn background(&self, config: OutboxConfig) -> BackgroundNotifier {
        BackgroundNotifier::start(self.clone(), config)
    }
}

impl BackgroundNotifier {
    /// Spawns the publishing task of a new outbox.
    fn start(notifier: Notifier, config: OutboxConfig) -> Self {
        let outbox = Mutex::new(Outbox::new(config));
        let shared = Arc::new(SharedOutbox { outbox, arrived: Notify::new(), left: Notify::new() });
        let task = tokio::spawn(task::run(Arc::clone(&shared), config));
        Self { notifier, owner: Arc::new(TaskOwner { shared, task: Mutex::new(Some(AbortOnDropHandle::new(task))) }) }
    }

    /// A copy with other settings and the same outbox, such as
    /// `background.prepare(|notifier| notifier.publisher_id("shop.host-2"))`. The timeout is always the outbox's.
    #[must_use]
    pub fn prepare(&self, change: impl FnOnce(Notifier) -> Notifier) -> Self {
        Self { notifier: change(self.notifier.clone()), owner: Arc::clone(&self.owner) }
    }

    /// Whether some sink does anything with an event; if not, a caller need not build it.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.notifier.is_enabled()
    }

    /// Queues an event and says whether it is in the outbox or was dropped because that is full. Never waits.
    ///
    /// # Errors
    /// [`Encode`](crate::ErrorKind::Encode) if the payload has no JSON form,
    /// [`Closed`](crate::ErrorKind::Closed) after [`close`](Self::close).
    pub fn notify(
        &self,
        priority: Priority,
        context: &(impl Redact + ?Sized),
        event_type: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<Queued> {
        let event = self.notifier.event(priority, context, event_type, payload)?;
        let shared = &self.owner.shared;
        let queued = shared.outbox().push(event.detached(), &self.notifier.sinks)?;
        shared.arrived.notify_one();
        Ok(queued)
    }

    /// Queues an audit record: [`notify`](Self::notify) with [`Priority::Audit`].
    ///
    /// # Errors
    /// As [`notify`](Self::notify): `Encode`, and `Closed` after [`close`](Self::close).
    pub fn audit(
        &self,
        context: &(impl Redact + ?Sized),
        event_type: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<Queued> {
        self.notify(Priority::Audit, context, event_type, payload)
    }

    /// Queues diagnostics for developers: [`notify`](Self::notify) with [`Priority::Debug`].
    ///
    /// # Errors
    /// As [`notify`](Self::notify): `Encode`, and `Closed` after [`close`](Self::close).
    pub fn debug(
        &self,
        context: &(impl Redact + ?Sized),
        event_type: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<Queued> {
        self.notify(Priority::Debug, context, event_type, payload)
    }

    /// Queues an event of normal operation: [`notify`](Self::notify) with [`Priority::Info`].
    ///
    /// # Errors
    /// As [`notify`](Self::notify): `Encode`, and `Closed` after [`close`](Self::close).
    pub fn info(
        &self,
        context: &(impl Redact + ?Sized),
        event_type: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<Queued> {
        self.notify(Priority::Info, context, event_type, payload)
    }

    /// Queues an unexpected event that is not a failure: [`notify`](Self::notify) with [`Priority::Warn`].
    ///
    /// # Errors
    /// As [`notify`](Self::notify): `Encode`, and `Closed` after [`close`](Self::close).
    pub fn warn(
        &self,
        context: &(impl Redact + ?Sized),
        event_type: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<Queued> {
        self.notify(Priority::Warn, context, event_type, payload)
    }

    /// Queues a failure: [`notify`](Self::notify) with [`Priority::Error`].
    ///
    /// # Errors
    /// As [`notify`](Self::notify): `Encode`, and `Closed` after [`close`](Self::close).
    pub fn error(
        &self,
        context: &(impl Redact + ?Sized),
        event_type: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<Queued> {
        self.notify(Priority::Error, context, event_type, payload)
    }

    /// Queues a failure that needs an operator at once: [`notify`](Self::notify) with [`Priority::Critical`].
    ///
    /// # Errors
    /// As [`notify`](Self::notify): `Encode`, and `Closed` after [`close`](Self::close).
    pub fn critical(
        &self,
        context: &(impl Redact + ?Sized),
        event_type: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<Queued> {
        self.notify(Priority::Critical, context, event_type, payload)
    }

    /// Queues a measured value: [`notify`](Self::notify) with [`Priority::Sample`].
    ///
    /// # Errors
    /// As [`notify`](Self::notify): `Encode`, and `Closed` after [`close`](Self::close).
    pub fn sample(
        &self,
        context: &(impl Redact + ?Sized),
        event_type: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<Queued> {
        self.notify(Priority::Sample, context, event_type, payload)
    }

    /// What became of the events of all clones so far; the totals never decrease.
    #[must_use]
    pub fn counts(&self) -> OutboxCounts {
        self.owner.shared.outbox().counts()
    }

    /// Waits until everything that was queued before is published or given up; returns how many of these events are
    /// still in the outbox at the deadline. They stay there.
    ///
    /// # Cancellation
    /// Safe: it only watches.
    pub async fn flush(&self, deadline: Deadline) -> usize {
        let shared = &self.owner.shared;
        let end = shared.outbox().end();
        // What is left at the deadline is counted below.
        let _ = deadline.run("flush", shared.emptied_up_to(end)).await;
        shared.outbox().held_before(end)
    }

    /// Takes no more events, publishes what is in the outbox until the deadline, and returns how many events were left
    /// then: they are lost, with a warning. Idempotent; every call returns the same number.
    ///
    /// # Cancellation
    /// The outbox takes no more events and its task goes on; close it again.
    pub async fn close(&self, deadline: Deadline) -> usize {
        let shared = &self.owner.shared;
        shared.outbox().close();
        self.flush(deadline).await;
        let task = self.owner.task().take();
        if let Some(task) = task {
            task.abort();
            // Cancelled by the line before; its events are counted below.
            let _ = task.await;
        }
        shared.abandon()
    }
}

impl TaskOwner {
    fn task(&self) -> MutexGuard<'_, Option<AbortOnDropHandle<()>>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TaskOwner {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

impl SharedOutbox {
    /// Enters a poisoned lock, so that a panic of one caller does not stop the publishing.
    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no event with a number under `end` is in the outbox.
    async fn emptied_up_to(&self, end: u64) {
        loop {
            // Created before the look into the outbox, so that an event that leaves in between wakes this wait.
            let left = self.left.notified();
            if self.outbox().oldest().is_none_or(|oldest| oldest >= end) {
                return;
            }
            left.await;
        }
    }

    /// Gives up what is in the outbox and says how many events were given up so, now or before.
    fn abandon(&self) -> usize {
        let mut outbox = self.outbox();
        let lost = outbox.abandon();
        if outbox.has_unreported() {
            outbox.take_unreported().warn();
        }
        if lost > 0 {
            warn!(events = lost, "the background notifier ended with events in its outbox; they are lost");
        }
        let abandoned = outbox.counts().abandoned;
        drop(outbox);
        self.left.notify_waiters();
        usize::try_from(abandoned).unwrap_or(usize::MAX)
    }
}

impl fmt::Debug for BackgroundNotifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackgroundNotifier")
            .field("notifier", &self.notifier)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
