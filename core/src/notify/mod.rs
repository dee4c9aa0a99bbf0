//! Notifications: events with a priority, published by anyone, kept until somebody reads them.

mod background;
mod configured;
pub(crate) mod dead_letter;
pub(crate) mod dead_letter_queue;
pub(crate) mod dead_letter_writer;
mod dead_letters;
mod endpoint;
mod event;
mod filter;
mod listener;
#[cfg(feature = "log-layer")]
mod log;
mod notifier;
mod outcome;
mod outgoing;
mod pattern;
mod policy;
mod priority;
mod redact;
mod secret;
mod sink;

pub(crate) use dead_letter_writer::DeadLetterWriter;

pub use background::{BackgroundNotifier, OutboxConfig, OutboxCounts, Queued, WhenFull};
pub use dead_letter::{DeadLetterInfo, DeadReason};
pub use dead_letters::{DeadLetter, DeadLetters};
pub use endpoint::NotificationEndpoint;
pub use event::Event;
pub use filter::NotificationFilter;
pub use listener::{NotificationListener, NotificationListenerBuilder};
#[cfg(feature = "log-layer")]
pub use log::LogRecordLayer;
pub use notifier::Notifier;
pub use outcome::NotificationResult;
pub use outgoing::OutgoingEvent;
pub use pattern::Pattern;
pub use policy::{FailurePolicy, GiveUp};
pub use priority::Priority;
pub use redact::{AllowedContext, Redact};
pub use secret::Secret;
pub use sink::NotificationSink;
pub use sink::log::LogSink;
pub use sink::messaging::MessagingSink;
pub use sink::noop::NoopSink;
pub use sink::recording::RecordingSink;
pub use sink::routing::{Route, RoutingSink};
