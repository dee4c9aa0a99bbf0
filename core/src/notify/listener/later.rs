//! Events that wait in memory, unsettled.

use std::time::Duration;

use futures_util::future::join_all;

use super::unit::{Item, Unit};
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
}

impl Later {
    /// How many events there are.
    pub(super) fn len(&self) -> usize {
        match &self.then {
            Then::TryAgain(unit) => unit.items.len(),
            Then::GiveBack(_) => 1,
        }
    }

    /// Gives them to the broker at once.
    pub(super) async fn give_back(self) {
        match self.then {
            Then::TryAgain(unit) => {
                join_all(unit.items.into_iter().map(|Item { delivery, .. }| delivery.requeue())).await;
            }
            Then::GiveBack(delivery) => delivery.requeue().await,
        }
    }
}
