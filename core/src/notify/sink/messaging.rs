//! The default sink: events become messages in the queues of their topics and priorities.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;

use super::{NotificationSink, outcome};
use crate::driver::{Address, PublishOptions};
use crate::notify::outgoing_event::OutgoingEvent;
use crate::wire::Format;
use crate::{Bus, Deadline, Result, wire};

/// Publishes events on a bus: one message for each topic, to the queue `<topic>.<priority>`.
///
/// By default it declares that queue, as the reference does, so that the broker keeps an event until a listener reads
/// it. A queue without a listener grows without limit: give the events an [`expiration`](Self::expiration), publish
/// [`without_queue`](Self::without_queue), or have the operator limit the queue, for example with
/// `rabbitmqctl set_policy limit '^notifications\.' '{"max-length": 100000}' --apply-to queues`.
#[derive(Debug, Clone)]
pub struct MessagingSink {
    bus: Bus,
    /// Each gets its own message, with the same `message_id`.
    topics: Vec<String>,
    /// `None`: the default exchange of the bus.
    exchange: Option<String>,
    /// Default: the envelope, as the reference's driver `messagingv2`.
    format: Format,
    /// `None`: the broker keeps the event until it is read.
    expiration: Option<Duration>,
    /// Decides also whether the publish is mandatory.
    queue: QueueOfEvent,
}

/// Who makes the queue that an event lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum QueueOfEvent {
    /// The publisher declares it, and the publish is mandatory.
    Declared,
    /// Only listeners declare it; the publish is not mandatory.
    LeftToListeners,
}

impl MessagingSink {
    /// The topic `notifications` on the exchange of the bus.
    #[must_use]
    pub fn new(bus: &Bus) -> Self {
        Self {
            bus: bus.clone(),
            topics: vec!["notifications".to_owned()],
            exchange: None,
            format: Format::V2,
            expiration: None,
            queue: QueueOfEvent::Declared,
        }
    }

    /// Publishes to each of `topics`; to none at all, nothing. Default: `notifications`.
    #[must_use]
    pub fn topics(mut self, topics: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.topics = topics.into_iter().map(Into::into).collect();
        self
    }

    /// Publishes through `exchange`. Default: the bus's.
    #[must_use]
    pub fn exchange(mut self, exchange: impl Into<String>) -> Self {
        self.exchange = Some(exchange.into());
        self
    }

    /// Writes the bare content ([`Format::V1`], the reference's driver `messaging`) or the envelope ([`Format::V2`],
    /// `messagingv2`). Every listener reads both. Default: the envelope.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Lets the broker drop an event that lay in its queue for `age`. Default: never.
    #[must_use]
    pub fn expiration(mut self, age: Duration) -> Self {
        self.expiration = Some(age);
        self
    }

    /// Leaves the declaration of the queue to listeners: an event without a bound queue is lost, which is no error.
    #[must_use]
    pub fn without_queue(mut self) -> Self {
        self.queue = QueueOfEvent::LeftToListeners;
        self
    }

    /// Publishes to one topic, with the retries of the event.
    ///
    /// Errors: the last error of the driver, with the topic.
    async fn publish_to(&self, topic: &str, event: &OutgoingEvent, deadline: Deadline) -> Result<()> {
        let address = Address::Notification {
            exchange: self.exchange.as_ref().unwrap_or(&self.bus.0.default_exchange).clone(),
            topic: topic.to_owned(),
            priority: event.priority.as_str().to_owned(),
        };
        // Once for all attempts: each call makes a new `_unique_id`, and a listener knows a repetition by its id.
        let mut message = wire::message(event.to_notification().encode(self.format), self.bus.0.compression);
        message.expiration = self.expiration;
        let options = match self.queue {
            QueueOfEvent::Declared => PublishOptions::by(deadline).ensure_queue().mandatory(),
            QueueOfEvent::LeftToListeners => PublishOptions::by(deadline),
        };
        let publish = || self.bus.0.transport.publish(&address, message.clone(), &options);
        event.retry.run_repeatable(deadline, publish).await.map_err(|error| error.with_context("topic", topic))
    }
}

#[async_trait]
impl NotificationSink for MessagingSink {
    /// Publishes to every topic at once, whatever becomes of the others.
    async fn publish(&self, event: &OutgoingEvent, deadline: Deadline) -> Result<()> {
        let publishes = self.topics.iter().map(|topic| self.publish_to(topic, event, deadline));
        outcome(join_all(publishes).await)
    }

    fn is_noop(&self) -> bool {
        false
    }
}
