//! Events that wait in memory, unsettled.
//!
//! Between attempts an event is neither in a handler nor settled. It is retried, requeued or moved when its time has
//! come, and released at once when the listener stops.

use std::time::Duration;

use super::mover::PendingMove;
use super::work_item::{PendingEvent, WorkItem};
use crate::delivery::Delivery;

/// Events that wait in memory, unsettled, and what for.
#[derive(Debug)]
pub(super) struct Deferred {
    /// Zero for an event that is given up: its move begins at once.
    pub(super) wait: Duration,
    /// What follows the wait, unless the listener stops first.
    pub(super) then: DeferredAction,
}

/// What is done with events that have waited.
#[derive(Debug)]
pub(super) enum DeferredAction {
    TryAgain(WorkItem),
    GiveBack(Delivery),
    /// It was given up: it is moved at once, and does not wait for room.
    Move(PendingMove),
}

impl Deferred {
    /// How many events wait. Those of a batch count each.
    pub(super) fn len(&self) -> usize {
        match &self.then {
            DeferredAction::TryAgain(work) => work.events.len(),
            DeferredAction::GiveBack(_) | DeferredAction::Move(_) => 1,
        }
    }

    /// The events themselves, of what has not been given up.
    pub(super) fn into_deliveries(self) -> Vec<Delivery> {
        match self.then {
            DeferredAction::TryAgain(work) => {
                work.events.into_iter().map(|PendingEvent { delivery, .. }| delivery).collect()
            }
            DeferredAction::GiveBack(delivery) => vec![delivery],
            // The mover settles these itself.
            DeferredAction::Move(_) => Vec::new(),
        }
    }
}
