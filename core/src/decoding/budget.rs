//! How many decoded bytes may be in hand.
//!
//! The budget bounds the memory of a bus, whatever its peers send. A [`Charge`] travels with its message and is
//! released by its drop, on every path. Two counters are kept apart: bytes that wait to be decoded stop the intake,
//! but must not stop the decoding itself, or neither would ever proceed.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{Notify, Semaphore};
use tracing::warn;

/// What a message costs beside its bytes while it waits to be decoded: its fields and its task.
const OVERHEAD: usize = 4 << 10;

/// The bytes of messages that are in hand, and how many there may be.
#[derive(Debug)]
pub(crate) struct Budget {
    /// What the budget bounds, for the warning.
    what: &'static str,
    /// In bytes. It is checked before a message is taken, so the last one taken may exceed it.
    size: usize,
    /// Of messages that wait to be decoded, as they came.
    waiting: AtomicUsize,
    /// Of messages that are being decoded, wait for a handler, or are being handled.
    held: AtomicUsize,
    /// Notified whenever bytes are released.
    released: Notify,
    /// Held while a large body is decoded: what decoding needs beside the body is needed once.
    pub(super) turn: Arc<Semaphore>,
    /// Whether the current shortage was logged; reset when half of the budget is free.
    warned: AtomicBool,
}

/// A message's share of a [`Budget`], given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    waiting: usize,
    held: usize,
}

impl Budget {
    /// A budget of `size` bytes; `what` names its messages in the warning.
    pub(super) fn new(what: &'static str, size: usize) -> Arc<Self> {
        Arc::new(Self {
            what,
            size,
            waiting: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            released: Notify::new(),
            turn: Arc::new(Semaphore::new(1)),
            warned: AtomicBool::new(false),
        })
    }

    /// Whether nothing more is to be taken from the broker.
    pub(super) fn is_full(&self) -> bool {
        self.in_hand() >= self.size
    }

    /// Waits until more may be taken from the broker;
    /// says in the log that it waits, once for each time that the budget fills.
    pub(super) async fn room(&self) {
        // Several listeners share the budget; the one that sets the flag logs for all.
        if self.is_full() && !self.warned.swap(true, Ordering::Relaxed) {
            warn!(
                bytes = self.in_hand(),
                budget = self.size,
                "the memory budget of {} is full: no more are taken from the broker until some are settled",
                self.what
            );
        }
        self.until(|budget| !budget.is_full()).await;
    }

    /// Waits until another large body may be decoded.
    /// What waits to be decoded does not count, since nothing else would end that wait.
    pub(super) async fn may_decode(&self) {
        self.until(|budget| budget.held.load(Ordering::Acquire) < budget.size).await;
    }

    /// Waits until `ready`, checked after each release. Registers before it checks, so that no release is missed.
    async fn until(&self, ready: impl Fn(&Self) -> bool) {
        loop {
            let mut released = pin!(self.released.notified());
            released.as_mut().enable();
            if ready(self) {
                return;
            }
            released.await;
        }
    }

    /// Waiting and held bytes together; the two are read one after the other, so the sum is approximate.
    fn in_hand(&self) -> usize {
        self.waiting.load(Ordering::Acquire).saturating_add(self.held.load(Ordering::Acquire))
    }
}

impl Charge {
    /// Counts `bytes` and [`OVERHEAD`] as waiting, for a message that is decoded later.
    pub(super) fn waiting(budget: &Arc<Budget>, bytes: usize) -> Self {
        let waiting = bytes.saturating_add(OVERHEAD);
        budget.waiting.fetch_add(waiting, Ordering::AcqRel);
        Self { budget: Arc::clone(budget), waiting, held: 0 }
    }

    /// Counts `bytes` as held, for a message that was decoded inline and never waited.
    pub(super) fn held(budget: &Arc<Budget>, bytes: usize) -> Self {
        budget.held.fetch_add(bytes, Ordering::AcqRel);
        Self { budget: Arc::clone(budget), waiting: 0, held: bytes }
    }

    /// Adds decoded `bytes` without waiting, even beyond the size of the budget.
    pub(super) fn grow(&mut self, bytes: usize) {
        self.budget.held.fetch_add(bytes, Ordering::AcqRel);
        self.held += bytes;
    }

    /// Takes the message out of the waiting bytes and wakes all who wait for room.
    pub(super) fn is_decoded(&mut self) {
        // Taken out here, so that the drop does not subtract it again.
        self.budget.waiting.fetch_sub(std::mem::take(&mut self.waiting), Ordering::AcqRel);
        self.budget.released.notify_waiters();
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.waiting.fetch_sub(self.waiting, Ordering::AcqRel);
        self.budget.held.fetch_sub(self.held, Ordering::AcqRel);
        // Half, and not just below the size: a budget that hovers at its limit must not log each time.
        if self.budget.in_hand() <= self.budget.size / 2 {
            self.budget.warned.store(false, Ordering::Relaxed);
        }
        self.budget.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn what_is_dropped_makes_room() {
        let budget = Budget::new("requests", 100);
        let first = Charge::held(&budget, 60);
        assert!(!budget.is_full());
        let second = Charge::held(&budget, 60);
        assert!(budget.is_full() && budget.room().now_or_never().is_none());
        let mut room = Box::pin(budget.room());
        assert!(room.as_mut().now_or_never().is_none());
        drop(first);
        assert!(room.as_mut().now_or_never().is_some());
        drop(second);
        assert_eq!(budget.in_hand(), 0);
    }

    #[test]
    fn what_waits_to_be_decoded_stops_the_intake_and_not_the_decoding() {
        let budget = Budget::new("requests", 100);
        let mut charge = Charge::waiting(&budget, 1_000);
        assert!(budget.is_full() && budget.may_decode().now_or_never().is_some());
        charge.grow(99);
        charge.is_decoded();
        assert!(!budget.is_full() && budget.may_decode().now_or_never().is_some());
        charge.grow(1);
        assert!(budget.is_full() && budget.may_decode().now_or_never().is_none());
        drop(charge);
        assert_eq!(budget.in_hand(), 0);
    }
}
