//! How many requests a server takes from its queues.
//!
//! A saturated server that takes one request for each that ends acknowledges one by one, and every acknowledgement
//! costs the broker a frame. So it keeps a small reserve of requests that are acknowledged and wait to start, and
//! refills it in one go when it has run low. While handlers are free nothing waits: it takes whatever is ready.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest reserve that is chosen by default.
const LARGEST_RESERVE: usize = 32;

/// What a running request holds until its method has ended:
/// a handler, and the place of the one request that runs beside no other of its kind.
#[derive(Debug)]
pub(crate) struct Permit {
    /// Frees a handler when it is dropped.
    _handler: OwnedSemaphorePermit,
    /// Only of a request that has failed before: the next such request waits for its drop.
    _alone: Option<OwnedSemaphorePermit>,
}

impl Permit {
    pub(crate) fn new(handler: OwnedSemaphorePermit, alone: Option<OwnedSemaphorePermit>) -> Self {
        Self { _handler: handler, _alone: alone }
    }
}

/// The permits of the handlers, and how many requests may wait for one.
#[derive(Debug)]
pub(crate) struct HandlerPermits {
    /// One for each method that may run at once.
    permits: Arc<Semaphore>,
    /// The concurrency, free or not, for the warning of saturation.
    all: usize,
    /// How many acknowledged requests may wait without a handler.
    reserve: usize,
}

impl HandlerPermits {
    pub(crate) fn new(concurrency: usize, reserve: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(concurrency)), all: concurrency, reserve }
    }

    /// A permit to start one handler; it ends with the handler.
    pub(crate) fn try_acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    /// As [`try_acquire`](Self::try_acquire), waiting for one.
    pub(crate) async fn acquire(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed")
    }

    /// All permits, free or held: the concurrency of the server.
    pub(crate) fn permits(&self) -> usize {
        self.all
    }

    /// How many permits are free now; a method that ends frees another at any time.
    pub(crate) fn free(&self) -> usize {
        self.permits.available_permits()
    }

    /// How many requests to take now, while `waiting` wait to start.
    pub(crate) fn demand(&self, waiting: usize) -> usize {
        demand(self.free(), waiting, self.reserve)
    }
}

/// A quarter of the concurrency, at most 32.
pub(crate) fn default_reserve(concurrency: usize) -> usize {
    (concurrency / 4).min(LARGEST_RESERVE)
}

/// With free handlers, as many as they can run and the reserve;
/// otherwise a refill once an eighth of the reserve is left.
fn demand(free: usize, waiting: usize, reserve: usize) -> usize {
    let low_water = reserve / 8;
    // In one poll, so that the driver acknowledges all of them with one frame.
    if waiting == 0 && free > 0 {
        free + reserve
    } else if waiting <= low_water {
        // Refilled before it is empty, so that a free handler finds a request that is acknowledged.
        reserve - waiting
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_server_with_free_handlers_takes_what_they_can_run_and_the_reserve() {
        assert_eq!(demand(64, 0, 16), 80);
    }

    #[test]
    fn a_saturated_server_refills_its_reserve_in_one_go() {
        assert_eq!(demand(0, 3, 16), 0);
        assert_eq!(demand(0, 2, 16), 14);
    }

    #[test]
    fn without_a_reserve_only_free_handlers_take_requests() {
        assert_eq!(demand(0, 0, 0), 0);
        assert_eq!(demand(1, 0, 0), 1);
    }

    proptest! {
        #[test]
        fn never_more_are_taken_than_can_start_or_wait(free in 0usize..200, waiting in 0usize..64, reserve in 0usize..64) {
            prop_assert!(demand(free, waiting, reserve) + waiting <= (free + reserve).max(waiting));
        }

        #[test]
        fn an_idle_server_always_takes_at_least_one(free in 1usize..200, reserve in 0usize..64) {
            prop_assert!(demand(free, 0, reserve) >= 1);
        }
    }
}
