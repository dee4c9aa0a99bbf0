//! The publisher's side of notifications.
//!
//! [`Notifier::notify`] builds an event once, redacts its context,
//! applies the serializer and publishes the result to every sink.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::outgoing_event::OutgoingEvent;
use super::priority::Priority;
use super::redact::{AllowedContext, Redact};
use super::sink::messaging::MessagingSink;
use super::sink::{NotificationSink, Sinks};
use crate::{Bus, Deadline, Payload, Result, Retry, Serializer};

/// Publishes events under one publisher id to one or more sinks.
///
/// Immutable: every setting returns a changed copy, and [`prepare`](Self::prepare) makes that explicit for one event.
/// Cheap to clone; any number of tasks may use one at once. Each event goes to every [`NotificationSink`]: to the bus
/// by default. Its context stays in the process, except for what [`Redact`] permits.
///
/// ```
/// use oslo_messaging::{Bus, Context, Notifier};
/// use oslo_messaging_fake::FakeBroker;
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oslo_messaging::Result<()> {
/// let broker = FakeBroker::new();
/// let bus = Bus::new(broker.transport());
/// let notifier = Notifier::new(&bus, "shop.host-1").allow_context(["request_id"]);
///
/// let context = Context::new().with("request_id", "req-1").with("token", "hunter2");
/// notifier.info(&context, "order.created", &json!({"id": 7})).await?;
/// // Without a listener the broker keeps it.
/// assert_eq!(broker.queue("notifications.info").map(|queue| queue.ready), Some(1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Notifier {
    publisher_id: Arc<str>,
    pub(super) sinks: Sinks,
    /// How long one event may take in all, with its retries and all its sinks.
    timeout: Duration,
    /// Goes to the sinks with each event, since they publish and repeat it.
    retry: Retry,
    /// The context values that may leave the process.
    allowed: AllowedContext,
    /// Applied after the redaction, so it never sees what may not leave the process.
    serializer: Option<Arc<dyn Serializer>>,
}

impl Notifier {
    /// A notifier that publishes on `bus` as [`MessagingSink::new`] does, with the timeout and the retries of the bus.
    /// Nothing is sent before the first event.
    #[must_use]
    pub fn new(bus: &Bus, publisher_id: impl Into<String>) -> Self {
        Self { timeout: bus.0.timeout, retry: bus.0.retry, ..Self::from_sink(publisher_id, MessagingSink::new(bus)) }
    }

    /// Publishes to `sink` alone and needs no bus; one event takes 60 s at most by default.
    #[must_use]
    pub fn from_sink(publisher_id: impl Into<String>, sink: impl NotificationSink) -> Self {
        Self {
            publisher_id: publisher_id.into().into(),
            sinks: Sinks::of(sink),
            timeout: Duration::from_secs(60),
            retry: Retry::default(),
            allowed: AllowedContext::none(),
            serializer: None,
        }
    }

    /// Publishes to `sink` as well, at the same time and whatever becomes of the other sinks.
    #[must_use]
    pub fn with_sink(mut self, sink: impl NotificationSink) -> Self {
        self.sinks = self.sinks.and(sink);
        self
    }

    /// A copy to change for one event; this notifier stays as it is.
    #[must_use]
    pub fn prepare(&self) -> Self {
        self.clone()
    }

    /// Publishes as `publisher_id`, such as `shop.host-1`: a service and where it runs.
    #[must_use]
    pub fn publisher_id(mut self, publisher_id: impl Into<String>) -> Self {
        self.publisher_id = publisher_id.into().into();
        self
    }

    /// How long one event may take in all. Default: the bus's, or 60 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often a publish that failed is tried again, also if the event may have arrived: it carries the same ids.
    /// Default: the bus's, or until the deadline.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Translates every payload, and what is left of the context after [`Redact`]; a payload is given with that too.
    #[must_use]
    pub fn serializer(mut self, serializer: impl Serializer) -> Self {
        self.serializer = Some(Arc::new(serializer));
        self
    }

    /// Lets the values called `names` leave the process with an event, and no others. Default: none.
    #[must_use]
    pub fn allow_context(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.allowed = AllowedContext::new(names);
        self
    }

    /// Whether some sink does anything with an event; if not, a caller need not build it.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        !self.sinks.are_noop()
    }

    /// Publishes an event to every sink; returns when each has it. `payload` is anything that has a JSON form.
    ///
    /// It ends by the notifier's own timeout, whatever the deadline of the request that is being handled: the caller of
    /// that request may give up earlier, and the event is still published.
    ///
    /// # Errors
    /// [`Encode`](crate::ErrorKind::Encode) if the payload has no JSON form, and what the sinks say: of several errors
    /// the first one, in the order of the sinks.
    /// [`executed`](crate::Error::executed) says whether the event may have arrived.
    ///
    /// # Cancellation
    /// The event may still be published; nothing tries it again.
    pub async fn notify(
        &self,
        priority: Priority,
        context: &(impl Redact + ?Sized),
        event_type: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<()> {
        let deadline = Deadline::after(self.timeout);
        let event = self.event(priority, context, event_type, payload)?;
        let sent = self.sinks.publish(&event, deadline).await;
        sent.map_err(|error| error.with_context("event_type", event_type))
    }

    /// Publishes an audit record: [`notify`](Self::notify) with [`Priority::Audit`].
    ///
    /// # Errors
    /// As [`notify`](Self::notify): `Encode`, or the first error of the sinks.
    pub async fn audit(
        &self,
        context: &(impl Redact + ?Sized),
        event_type: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<()> {
        self.notify(Priority::Audit, context, event_type, payload).await
    }

    /// Publishes diagnostics for developers: [`notify`](Self::notify) with [`Priority::Debug`].
    ///
    /// # Errors
    /// As [`notify`](Self::notify): `Encode`, or the first error of the sinks.
    pub async fn debug(
        &self,
        context: &(impl Redact + ?Sized),
        event_type: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<()> {
        self.notify(Priority::Debug, context, event_type, payload).await
    }

    /// Publishes an event of normal operation: [`notify`](Self::notify) with [`Priority::Info`].
    ///
    /// # Errors
    /// As [`notify`](Self::notify): `Encode`, or the first error of the sinks.
    pub async fn info(
        &self,
        context: &(impl Redact + ?Sized),
        event_type: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<()> {
        self.notify(Priority::Info, context, event_type, payload).await
    }

    /// Publishes an unexpected event that is not a failure: [`notify`](Self::notify) with [`Priority::Warn`].
    ///
    /// # Errors
    /// As [`notify`](Self::notify): `Encode`, or the first error of the sinks.
    pub async fn warn(
        &self,
        context: &(impl Redact + ?Sized),
        event_type: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<()> {
        self.notify(Priority::Warn, context, event_type, payload).await
    }

    /// Publishes a failure: [`notify`](Self::notify) with [`Priority::Error`].
    ///
    /// # Errors
    /// As [`notify`](Self::notify): `Encode`, or the first error of the sinks.
    pub async fn error(
        &self,
        context: &(impl Redact + ?Sized),
        event_type: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<()> {
        self.notify(Priority::Error, context, event_type, payload).await
    }

    /// Publishes a failure that needs an operator at once: [`notify`](Self::notify) with [`Priority::Critical`].
    ///
    /// # Errors
    /// As [`notify`](Self::notify): `Encode`, or the first error of the sinks.
    pub async fn critical(
        &self,
        context: &(impl Redact + ?Sized),
        event_type: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<()> {
        self.notify(Priority::Critical, context, event_type, payload).await
    }

    /// Publishes a measured value: [`notify`](Self::notify) with [`Priority::Sample`].
    ///
    /// # Errors
    /// As [`notify`](Self::notify): `Encode`, or the first error of the sinks.
    pub async fn sample(
        &self,
        context: &(impl Redact + ?Sized),
        event_type: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<()> {
        self.notify(Priority::Sample, context, event_type, payload).await
    }

    /// The event as the sinks get it: redacted, translated and encoded, with a new id and the time of now.
    pub(super) fn event(
        &self,
        priority: Priority,
        context: &(impl Redact + ?Sized),
        event_type: &str,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<OutgoingEvent> {
        let mut context = context.redacted(&self.allowed);
        let mut payload =
            Payload::encode(payload).map_err(|error| error.with_context("event_type", event_type.to_owned()))?;
        if let Some(serializer) = &self.serializer {
            payload = serializer.serialize(&context, payload)?;
            context = serializer.serialize_context(&context)?;
        }
        let event = OutgoingEvent::new(&*self.publisher_id, priority, event_type, payload);
        Ok(OutgoingEvent { context, retry: self.retry, ..event })
    }
}
