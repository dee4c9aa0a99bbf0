//! Events that an attempt left unsettled, and what follows.
//!
//! Such an event is neither in a handler nor settled. It waits in memory for its next attempt or its requeue, and is
//! released at once when the listener stops. An event that is given up does not wait: its move begins at once.

use std::time::Duration;

use super::mover::PendingMove;
use super::work_item::{PendingEvent, WorkItem};
use crate::delivery::Delivery;

/// Events that an attempt left unsettled, how long they wait, and what follows.
#[derive(Debug)]
pub(super) struct Unhandled {
    /// Zero for an event that is given up: its move begins at once.
    pub(super) wait: Duration,
    /// What follows the wait, unless the listener stops first.
    pub(super) then: NextAction,
}

/// What is done with the events after their wait.
#[derive(Debug)]
pub(super) enum NextAction {
    TryAgain(WorkItem),
    GiveBack(Delivery),
    /// It was given up: it is moved without a wait, and needs no room.
    Move(PendingMove),
}

impl Unhandled {
    /// How many events these are. Those of a batch count each.
    pub(super) fn len(&self) -> usize {
        match &self.then {
            NextAction::TryAgain(work) => work.events.len(),
            NextAction::GiveBack(_) | NextAction::Move(_) => 1,
        }
    }

    /// The events themselves, of what has not been given up.
    pub(super) fn into_deliveries(self) -> Vec<Delivery> {
        match self.then {
            NextAction::TryAgain(work) => {
                work.events.into_iter().map(|PendingEvent { delivery, .. }| delivery).collect()
            }
            NextAction::GiveBack(delivery) => vec![delivery],
            // The mover settles these itself.
            NextAction::Move(_) => Vec::new(),
        }
    }
}
