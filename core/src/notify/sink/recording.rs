//! A sink that keeps events in memory, for tests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::NotificationSink;
use crate::notify::outgoing_event::OutgoingEvent;
use crate::{Deadline, Result};

/// Keeps every event, for a test to look at: the reference's driver `test`, without its global list.
///
/// Clones share one memory: give one to the notifier and keep the other.
#[derive(Debug, Clone, Default)]
pub struct RecordingSink(Arc<Mutex<Vec<OutgoingEvent>>>);

impl RecordingSink {
    /// Starts empty. Nothing limits how many events it keeps.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Copies of all events so far, in the order in which they were published.
    #[must_use]
    pub fn recorded(&self) -> Vec<OutgoingEvent> {
        self.events().clone()
    }

    fn events(&self) -> MutexGuard<'_, Vec<OutgoingEvent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl NotificationSink for RecordingSink {
    async fn publish(&self, event: &OutgoingEvent, _: Deadline) -> Result<()> {
        self.events().push(event.clone());
        Ok(())
    }

    fn is_noop(&self) -> bool {
        false
    }
}
