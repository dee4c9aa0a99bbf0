//! What a program logs with `tracing`, as events for whatever listens on the bus.
//!
//! The layer turns each record into an event and queues it in the background, because a subscriber must not block.
//! Records of this library and of its AMQP client are left out: publishing them would create further records.

mod log_record;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use self::log_record::LogRecord;
use super::background::BackgroundNotifier;
use super::priority::Priority;

/// The type of the events (oslo.messaging `notify/logger.py`).
const EVENT_TYPE: &str = "logrecord";

/// Targets whose records are never published, since publishing makes more of them.
const OWN: [&str; 2] = ["oslo_messaging", "lapin"];

/// A `tracing` layer that publishes each log record as a notification of the type `logrecord`: what the reference's
/// `LoggingNotificationHandler` does for Python's `logging`.
///
/// The priority follows the level: `debug`, `info`, `warn` and `error`. Records of the level `TRACE` are dropped, as
/// the reference drops levels that no priority matches, and so are those of this library and of its AMQP client, which
/// would make more of themselves. The payload has the reference's twelve keys; `name` is the target, `funcName` the
/// innermost span, `extra` the fields, and `exc_info` always null.
///
/// The layer never waits: it hands each record to the outbox of a [`BackgroundNotifier`], which counts what it cannot
/// send. Filter it like any other layer, since each record is a message:
///
/// ```
/// use oslo_messaging::notify::LogRecordLayer;
/// use oslo_messaging::BackgroundNotifier;
/// use tracing_subscriber::filter::LevelFilter;
/// use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
/// use tracing_subscriber::util::SubscriberInitExt as _;
///
/// # fn run(notifier: BackgroundNotifier) {
/// tracing_subscriber::registry().with(LogRecordLayer::new(notifier).with_filter(LevelFilter::ERROR)).init();
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct LogRecordLayer {
    notifier: BackgroundNotifier,
}

impl LogRecordLayer {
    /// A layer that publishes through `notifier`, under its publisher id and to its sinks.
    #[must_use]
    pub fn new(notifier: BackgroundNotifier) -> Self {
        Self { notifier }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogRecordLayer {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let Some(priority) = priority_of(*metadata.level()) else { return };
        if is_own(metadata.target()) || !self.notifier.is_enabled() {
            return;
        }
        let span = context.event_span(event);
        let record = LogRecord::of(event, span.as_ref().map(SpanRef::name));
        // The outbox counts and reports what it does not take; a log record about that would come back here.
        let _ = self.notifier.notify(priority, &crate::Context::new(), EVENT_TYPE, &record);
    }
}

/// The priority of a level; `None` for `TRACE`, which is not published.
fn priority_of(level: Level) -> Option<Priority> {
    match level {
        Level::ERROR => Some(Priority::Error),
        Level::WARN => Some(Priority::Warn),
        Level::INFO => Some(Priority::Info),
        Level::DEBUG => Some(Priority::Debug),
        _ => None,
    }
}

/// Whether `target` is one of [`OWN`], or a module or crate beneath it.
fn is_own(target: &str) -> bool {
    OWN.iter().any(|own| target.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '_'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_and_its_client_are_left_out_and_what_only_begins_alike_is_not() {
        for (target, own) in [
            ("oslo_messaging", true),
            ("oslo_messaging::rpc::server", true),
            ("oslo_messaging_amqp::link", true),
            ("lapin::io_loop", true),
            ("lapinette", false),
            ("nova::oslo_messaging", false),
        ] {
            assert_eq!(is_own(target), own, "{target}");
        }
    }
}
