//! A sink that writes events to the log of the process.

use async_trait::async_trait;
use tracing::{debug, error, info, warn};

use super::NotificationSink;
use super::mask::masked;
use crate::notify::outgoing_event::OutgoingEvent;
use crate::notify::priority::Priority;
use crate::wire::Format;
use crate::{Deadline, Payload, Result};

/// Writes every event to the log as one line of JSON, with its secrets masked: the reference's driver `log`.
///
/// A `tracing` event of the target `oslo_messaging::notification`, with the field `messaging.event_type`. Its level is
/// the priority: `critical` is ERROR, `audit` and `sample` are INFO. What stands under a name such as `password`,
/// `auth_token` or `secret`, at any depth, is written `***`; the context is not written at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogSink;

/// Writes one event at a level that has to be known when this is compiled.
macro_rules! line {
    ($level:ident, $event:expr, $json:expr) => {
        $level!(target: "oslo_messaging::notification", { messaging.event_type = %$event.event_type }, "{}", $json)
    };
}

#[async_trait]
impl NotificationSink for LogSink {
    async fn publish(&self, event: &OutgoingEvent, _: Deadline) -> Result<()> {
        let json = json(event);
        match event.priority {
            Priority::Debug => line!(debug, event, json),
            Priority::Audit | Priority::Info | Priority::Sample => line!(info, event, json),
            Priority::Warn => line!(warn, event, json),
            Priority::Error | Priority::Critical => line!(error, event, json),
        }
        Ok(())
    }

    fn is_noop(&self) -> bool {
        false
    }
}

/// The event without what belongs to one message, and without its context.
fn json(event: &OutgoingEvent) -> String {
    let mut notification = event.to_notification();
    notification.unique_id.clear();
    notification.context.clear();
    let written = notification.encode(Format::V1);
    masked(&Payload::from_json(written).expect("what we write is JSON"))
}
