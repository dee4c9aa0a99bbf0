//! The broker behind its lock: what every handle, transport, listener and unsettled message holds.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::config::FakeConfig;
use crate::fault::plan::FaultPlan;
use crate::state::BrokerState;

/// One broker. It lives as long as any handle, transport, listener or unsettled message refers to it.
pub(crate) struct Shared {
    /// Held for one operation at a time, never across an await point.
    state: Mutex<BrokerState>,
    /// Outside of the lock, because every publish reads it.
    pub(crate) max_message_size: usize,
    /// Has a lock of its own: the predicates of its rules are user code and must not run under the broker's lock.
    pub(crate) faults: FaultPlan,
}

impl Shared {
    pub(crate) fn new(config: FakeConfig) -> Self {
        Self {
            max_message_size: config.max_message_size,
            state: Mutex::new(BrokerState::new(config)),
            faults: FaultPlan::default(),
        }
    }

    /// Applies what became due, runs one operation on the state, and wakes the
    /// listeners it concerns after the lock is released.
    pub(crate) fn with<R>(&self, operation: impl FnOnce(&mut BrokerState) -> R) -> R {
        // `Drop` implementations call this, possibly while a panic unwinds: a second panic would abort the process.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.apply_due();
        let result = operation(&mut state);
        let wake_ups = std::mem::take(&mut state.wake_ups);
        drop(state);
        wake_ups.notify();
        result
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
