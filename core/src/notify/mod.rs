//! Notifications: events with a priority, published to topics, kept by the broker until a listener has handled them.
//!
//! [`Notifier`] publishes and [`NotificationListener`] consumes;
//! [`DeadLetters`] reads the events that no attempt could handle.

mod background;
mod dead_letter;
mod endpoint;
mod event;
mod failure_policy;
mod filter;
mod from_config;
mod listener;
#[cfg(feature = "log-layer")]
mod log;
mod notifier;
mod outgoing_event;
mod pattern;
mod priority;
mod redact;
mod result;
mod secret;
mod sink;

pub(crate) use self::dead_letter::writer::DeadLetterWriter;

pub use self::background::BackgroundNotifier;
pub use self::background::outbox::Queued;
pub use self::background::outbox_config::{OutboxConfig, WhenFull};
pub use self::background::outbox_counts::OutboxCounts;
pub use self::dead_letter::info::{DeadLetterInfo, DeadReason};
pub use self::dead_letter::letters::{DeadLetter, DeadLetters};
pub use self::endpoint::NotificationEndpoint;
pub use self::event::Event;
pub use self::failure_policy::{FailurePolicy, GiveUp};
pub use self::filter::NotificationFilter;
pub use self::listener::{NotificationListener, NotificationListenerBuilder};
#[cfg(feature = "log-layer")]
pub use self::log::LogRecordLayer;
pub use self::notifier::Notifier;
pub use self::outgoing_event::OutgoingEvent;
pub use self::priority::Priority;
pub use self::redact::{AllowedContext, Redact};
pub use self::result::NotificationResult;
pub use self::secret::Secret;
pub use self::sink::NotificationSink;
pub use self::sink::log::LogSink;
pub use self::sink::messaging::MessagingSink;
pub use self::sink::noop::NoopSink;
pub use self::sink::recording::RecordingSink;
pub use self::sink::routing::{Route, RoutingSink};
