//! Helpers for the cases of notifications: notifiers, and endpoints that record events by their number `n`.

pub(super) mod batch;
pub(super) mod fail;
pub(super) mod life;
pub(super) mod listen;
pub(super) mod pool;
pub(super) mod wire;

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::notify::{FailurePolicy, MessagingSink, NotificationListenerBuilder, NotificationResult};
use oslo_messaging::{
    Context, Event, Exception, Failure, NotificationEndpoint, NotificationListener, Notifier, Priority, Result, Target,
};
use serde_json::{Value, json};

use crate::{Failed, Recorder, Stage};

/// The state of handlers that record each event by its number `n`.
pub(super) struct Recording {
    /// Where the recorder lists the events.
    pub(super) name: &'static str,
    pub(super) recorder: Recorder,
}

/// Fails as `shop.errors.HandlerFailed`, which a dead letter then names.
#[derive(Debug)]
pub(super) struct HandlerFailed;

impl Exception for HandlerFailed {
    fn failure(&self) -> Failure {
        Failure::new("shop.errors", "HandlerFailed", "not today")
    }
}

impl Recording {
    /// Records the payload's `n` under [`name`](Self::name).
    fn hear(&self, event: &Event<Value>) {
        self.recorder.record(self.name, &event.payload["n"]);
    }
}

/// An endpoint for events of every priority and type; it records each one and succeeds.
pub(super) fn recording(name: &'static str, recorder: &Recorder) -> NotificationEndpoint<Recording> {
    let endpoint = NotificationEndpoint::new(Recording { name, recorder: recorder.clone() });
    Priority::ALL.into_iter().fold(endpoint, |endpoint, priority| {
        endpoint.on(priority, "*", async |recording: Arc<Recording>, event: Event<Value>| {
            recording.hear(&event);
            Ok::<_, Infallible>(())
        })
    })
}

/// An endpoint that records every `info` event and returns what `answer` returns.
pub(super) fn answering(
    name: &'static str,
    recorder: &Recorder,
    answer: impl Fn(&Event<Value>) -> std::result::Result<NotificationResult, HandlerFailed> + Send + Sync + 'static,
) -> NotificationEndpoint<Recording> {
    let recording = Recording { name, recorder: recorder.clone() };
    NotificationEndpoint::new(recording).on(
        Priority::Info,
        "*",
        move |recording: Arc<Recording>, event: Event<Value>| {
            recording.hear(&event);
            let answer = answer(&event);
            async move { answer }
        },
    )
}

/// An endpoint that records every batch of `info` events as its numbers.
pub(super) fn recording_batches(name: &'static str, recorder: &Recorder) -> NotificationEndpoint<Recording> {
    let recording = Recording { name, recorder: recorder.clone() };
    NotificationEndpoint::new(recording).on_batch(
        Priority::Info,
        "*",
        async |recording: Arc<Recording>, events: Vec<Event<Value>>| {
            recording.recorder.record(recording.name, numbers(&events));
            Ok::<_, Infallible>(())
        },
    )
}

/// The numbers in the order of `events`, separated by spaces.
pub(super) fn numbers(events: &[Event<Value>]) -> String {
    events.iter().map(|event| event.payload["n"].to_string()).collect::<Vec<_>>().join(" ")
}

/// Topic and exchange get unique names; all targets of a case share the exchange.
pub(super) fn target(stage: &Stage, topic: &str) -> Target {
    Target::topic(stage.name(topic)).exchange(stage.name("e"))
}

/// The name on the bus of the queue that listeners without a pool share.
pub(super) fn queue(stage: &Stage, topic: &str, priority: Priority) -> String {
    format!("{}.{priority}", stage.name(topic))
}

/// A builder with a target for each of `topics`, on a connection of its own.
pub(super) async fn listener(stage: &Stage, topics: &[&str]) -> Result<NotificationListenerBuilder> {
    let builder = NotificationListener::builder(&stage.bus().await?);
    Ok(topics.iter().fold(builder, |builder, topic| builder.target(target(stage, topic))))
}

/// A sink to `topics`, on its own connection.
pub(super) async fn sink(stage: &Stage, topics: &[&str]) -> Result<MessagingSink> {
    let topics = topics.iter().map(|topic| stage.name(topic));
    Ok(MessagingSink::new(&stage.bus().await?).topics(topics).exchange(stage.name("e")))
}

/// Publishes as `conformance.host-1` on a connection of its own; a publish times out after `Budget::arrive`.
pub(super) async fn notifier(stage: &Stage, topics: &[&str]) -> Result<Notifier> {
    Ok(Notifier::from_sink("conformance.host-1", sink(stage, topics).await?).timeout(stage.budget().arrive))
}

/// Sends an `info` event for each of `numbers`, one after the other.
pub(super) async fn send_events(notifier: &Notifier, numbers: impl IntoIterator<Item = u32>) -> Result<()> {
    for n in numbers {
        notifier.info(&Context::new(), "order.created", &json!({ "n": n })).await?;
    }
    Ok(())
}

/// A policy of `tries` tries with short waits, for a real clock.
/// The first wait is 5 ms. All other settings are those of `FailurePolicy::default`.
pub(super) fn impatient(tries: u32) -> FailurePolicy {
    FailurePolicy::default().with_attempts(tries).with_first_wait(Duration::from_millis(5))
}

/// A batch size or a maximum; zero becomes one.
pub(super) fn many(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN)
}

/// Sorted numbers, since listeners record them in any order. Fails on an entry that is no number.
pub(super) fn sorted(what: impl IntoIterator<Item = String>) -> std::result::Result<Vec<u32>, Failed> {
    let mut numbers = what.into_iter().map(|n| n.parse()).collect::<std::result::Result<Vec<u32>, _>>()?;
    numbers.sort_unstable();
    Ok(numbers)
}
