//! Events that wait in memory, unsettled.

use std::time::Duration;

use super::mover::PendingMove;
use super::work_item::{Item, Unit};
use crate::delivery::Delivery;

/// Events that wait in memory, unsettled, and what for.
#[derive(Debug)]
pub(super) struct Later {
    pub(super) wait: Duration,
    pub(super) then: Then,
}

/// What is done with events that have waited.
#[derive(Debug)]
pub(super) enum Then {
    TryAgain(Unit),
    GiveBack(Delivery),
    /// It was given up: it is moved at once, and does not wait for room.
    Move(PendingMove),
}

impl Later {
    /// How many events there are.
    pub(super) fn len(&self) -> usize {
        match &self.then {
            Then::TryAgain(unit) => unit.items.len(),
            Then::GiveBack(_) | Then::Move(_) => 1,
        }
    }

    /// The events themselves, of what has not been given up.
    pub(super) fn into_deliveries(self) -> Vec<Delivery> {
        match self.then {
            Then::TryAgain(unit) => unit.items.into_iter().map(|Item { delivery, .. }| delivery).collect(),
            Then::GiveBack(delivery) => vec![delivery],
            Then::Move(_) => Vec::new(),
        }
    }
}
