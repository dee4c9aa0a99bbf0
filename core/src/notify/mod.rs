//! Notifications: events with a priority, published by anyone, kept until somebody reads them.

mod background;
mod notifier;
mod outgoing;
mod pattern;
mod priority;
mod redact;
mod secret;
mod sink;

pub use background::{BackgroundNotifier, OutboxConfig, OutboxCounts, Queued, WhenFull};
pub use notifier::Notifier;
pub use outgoing::OutgoingEvent;
pub use pattern::Pattern;
pub use priority::Priority;
pub use redact::{AllowedContext, Redact};
pub use secret::Secret;
pub use sink::NotificationSink;
pub use sink::log::LogSink;
pub use sink::messaging::MessagingSink;
pub use sink::noop::NoopSink;
pub use sink::recording::RecordingSink;
pub use sink::routing::{Route, RoutingSink};
