//! A sink that discards events.

use async_trait::async_trait;

use super::NotificationSink;
use crate::notify::outgoing_event::OutgoingEvent;
use crate::{Deadline, Result};

/// Takes every event and does nothing: the reference's driver `noop`.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoopSink;

#[async_trait]
impl NotificationSink for NoopSink {
    async fn publish(&self, _: &OutgoingEvent, _: Deadline) -> Result<()> {
        Ok(())
    }

    fn is_noop(&self) -> bool {
        true
    }
}
