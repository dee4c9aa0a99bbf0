//! The health of a bus: what its driver reports, and the parts of the bus that do not work although the driver does.
//!
//! The driver reports its own health on a `watch` channel. [`BusHealth`] forwards it and appends the parts that core
//! knows about, such as a dead-letter queue that takes no events. A [`HealthPart`] is one such part: it reports
//! itself unhealthy or clears itself, and its drop clears it too.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::driver::UnhealthyPart;
use crate::{Health, State};

/// Merges the health of a driver with the unhealthy parts of its bus. Dropping it passes on the driver's last state.
#[derive(Debug)]
pub(crate) struct BusHealth {
    shared: Arc<SharedHealth>,
    /// Aborted with the handle, so a dropped bus leaves no task behind.
    _task: AbortOnDropHandle<()>,
}

/// A part of a bus that can be unhealthy. Dropping it takes the part out of the health.
pub(crate) struct HealthPart {
    shared: Arc<SharedHealth>,
    /// Finds the part among others of the same name.
    id: u64,
    /// What users read in `Health::unhealthy`.
    name: String,
}

/// What the handle, the parts and the forwarding task share.
#[derive(Debug)]
struct SharedHealth {
    /// Keeps its value without receivers, so a later subscriber sees the state at once.
    merged: watch::Sender<Health>,
    /// The health of the transport alone, without the parts.
    driver: watch::Receiver<Health>,
    /// The parts that do not work, in the order in which they failed, by the numbers of their handles.
    own: Mutex<Vec<(u64, UnhealthyPart)>>,
    /// Never gives a number twice, so a handle cannot clear the entry of another part.
    next_id: AtomicU64,
    /// Set before an end that is not the runtime's: the bus was dropped, or the driver ended by itself.
    released: AtomicBool,
    /// Whether the runtime ended under the bus: nothing works then, whatever the driver said last.
    orphaned: AtomicBool,
}

/// The task's side. If it is dropped before `released` is set, the runtime has ended under the bus;
/// the drop of the bus and the end of the driver set that first.
struct ForwardingTask(Arc<SharedHealth>);

impl BusHealth {
    /// Starts to merge. Must be called inside a tokio runtime.
    ///
    /// The first value is the driver's state at this moment.
    pub(crate) fn start(driver: watch::Receiver<Health>) -> Self {
        let merged = watch::Sender::new(driver.borrow().clone());
        let shared = Arc::new(SharedHealth {
            merged,
            driver,
            own: Mutex::default(),
            next_id: AtomicU64::new(0),
            released: AtomicBool::new(false),
            orphaned: AtomicBool::new(false),
        });
        let forwarding = ForwardingTask(Arc::clone(&shared));
        Self { shared, _task: AbortOnDropHandle::new(tokio::spawn(forwarding.run())) }
    }

    /// The merged health, with the driver's state of this moment, and every later change of either.
    ///
    /// Publishes first, so that a change of the driver that the task has not seen yet is included.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Health> {
        self.shared.publish();
        self.shared.merged.subscribe()
    }

    /// A part called `name`, which works until it says otherwise.
    ///
    /// The name need not be unique.
    pub(crate) fn part(&self, name: impl Into<String>) -> HealthPart {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        HealthPart { shared: Arc::clone(&self.shared), id, name: name.into() }
    }
}

impl HealthPart {
    /// Reports that the part does not work, and why; whether it worked before.
    ///
    /// A later reason replaces the earlier one and keeps the place in the order.
    pub(crate) fn set_unhealthy(&self, reason: impl Into<String>) -> bool {
        let part = UnhealthyPart::new(&self.name, reason);
        // Held until the change is published, so that two parts publish in the order of their changes.
        let mut own = self.shared.own();
        let known = own.iter_mut().find(|(id, _)| *id == self.id);
        let new = known.is_none();
        match known {
            Some((_, known)) => *known = part,
            None => own.push((self.id, part)),
        }
        self.shared.publish_with(&own);
        new
    }

    /// Takes the part out of `Health::unhealthy` and publishes that at once.
    ///
    /// Does nothing if the part was healthy.
    pub(crate) fn clear(&self) {
        let mut own = self.shared.own();
        own.retain(|(id, _)| *id != self.id);
        self.shared.publish_with(&own);
    }
}

impl ForwardingTask {
    /// Republishes the merged health whenever the driver's changes, until the driver is gone.
    async fn run(self) {
        let mut driver = self.0.driver.clone();
        // What changed since the start is seen too.
        driver.mark_changed();
        while driver.changed().await.is_ok() {
            self.0.publish();
        }
        // The driver ended by itself, so the drop of this task says nothing about the runtime.
        self.0.released.store(true, Ordering::Release);
    }
}

impl SharedHealth {
    /// Publishes the merged health if it changed.
    fn publish(&self) {
        self.publish_with(&self.own());
    }

    /// The lock on `own` is held meanwhile, so that an earlier state never replaces a later one.
    fn publish_with(&self, own: &[(u64, UnhealthyPart)]) {
        let mut health = self.driver.borrow().clone();
        health.unhealthy.extend(own.iter().map(|(_, part)| part.clone()));
        if self.orphaned.load(Ordering::Acquire) {
            health.state = State::Closed;
        }
        // A receiver wakes only for a real change: the driver may report the same state again.
        self.merged.send_if_modified(|now| {
            let changed = *now != health;
            if changed {
                *now = health;
            }
            changed
        });
    }

    /// Locked before the driver's state is read, see `publish_with`.
    fn own(&self) -> MutexGuard<'_, Vec<(u64, UnhealthyPart)>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports `State::Closed` if the runtime ended before the bus was dropped and before the driver ended.
impl Drop for ForwardingTask {
    fn drop(&mut self) {
        if !self.0.released.load(Ordering::Acquire) {
            self.0.orphaned.store(true, Ordering::Release);
            self.0.publish();
        }
    }
}

/// Subscribers get the last state of the driver, and later changes of the parts.
impl Drop for BusHealth {
    fn drop(&mut self) {
        self.shared.released.store(true, Ordering::Release);
        self.shared.publish();
    }
}

impl Drop for HealthPart {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for HealthPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthPart").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn driver() -> (watch::Sender<Health>, BusHealth) {
        let (sender, receiver) = watch::channel(Health::new(State::Connecting));
        (sender, BusHealth::start(receiver))
    }

    #[tokio::test]
    async fn a_new_receiver_shows_the_driver_s_state_of_this_moment_and_later_ones_arrive() {
        let (driver, health) = driver();
        driver.send_replace(Health::new(State::Ready));
        let mut seen = health.subscribe();
        assert_eq!(seen.borrow_and_update().state, State::Ready);
        driver.send_replace(Health::new(State::Closed));
        seen.changed().await.unwrap();
        assert_eq!(seen.borrow().state, State::Closed);
    }

    #[tokio::test]
    async fn unhealthy_parts_stand_beside_those_of_the_driver_until_they_work_or_are_gone() {
        let (driver, health) = driver();
        let mut reported = Health::new(State::Ready);
        reported.unhealthy.push(UnhealthyPart::new("driver", "d"));
        driver.send_replace(reported);
        let (one, two) = (health.part("one"), health.part("two"));
        two.set_unhealthy("2");
        one.set_unhealthy("1");
        two.set_unhealthy("two");
        let parts = || {
            let seen = health.subscribe();
            let seen = seen.borrow();
            seen.unhealthy.iter().map(|part| format!("{} {}", part.part, part.reason)).collect::<Vec<_>>()
        };
        assert_eq!(parts(), ["driver d", "two two", "one 1"]);
        one.clear();
        assert_eq!(parts(), ["driver d", "two two"]);
        drop(two);
        assert_eq!(parts(), ["driver d"]);
    }

    #[tokio::test]
    async fn the_last_state_of_a_driver_outlives_the_bus() {
        let (driver, health) = driver();
        let seen = health.subscribe();
        driver.send_replace(Health::new(State::Closed));
        drop(health);
        assert_eq!(seen.borrow().state, State::Closed);
        let (driver, health) = self::driver();
        let seen = health.subscribe();
        driver.send_replace(Health::new(State::Ready));
        drop(health);
        assert_eq!(seen.borrow().state, State::Ready, "a bus that is dropped closes nothing");
    }

    #[test]
    fn a_bus_whose_runtime_is_gone_is_closed() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (_driver, health) = runtime.block_on(async { driver() });
        let seen = health.subscribe();
        drop(runtime);
        assert_eq!(seen.borrow().state, State::Closed);
        assert_eq!(health.subscribe().borrow().state, State::Closed);
    }
}
