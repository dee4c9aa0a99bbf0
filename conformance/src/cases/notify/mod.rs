//! Publishers and listeners of events whose every effect is recorded, for the cases of notifications.

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

use libtest_mimic::Failed;
use oslo_messaging::{
    Context, Event, Exception, Failure, FailurePolicy, MessagingSink, NotificationEndpoint, NotificationListener,
    NotificationListenerBuilder, NotificationResult, Notifier, Priority, Result, Target,
};
use serde_json::{Value, json};

use crate::{Recorder, Stage};

/// Whoever hears events: keeps each as `n`, its number.
pub(super) struct Ear {
    pub(super) name: &'static str,
    pub(super) recorder: Recorder,
}

/// How a handler of these cases fails.
#[derive(Debug)]
pub(super) struct Sick;

impl Exception for Sick {
    fn failure(&self) -> Failure {
        Failure::new("shop.errors", "Sick", "not today")
    }
}

impl Ear {
    fn hear(&self, event: &Event<Value>) {
        self.recorder.record(self.name, &event.payload["n"]);
    }
}

/// Keeps every event of every priority.
pub(super) fn ear(name: &'static str, recorder: &Recorder) -> NotificationEndpoint<Ear> {
    let endpoint = NotificationEndpoint::new(Ear { name, recorder: recorder.clone() });
    Priority::ALL.into_iter().fold(endpoint, |endpoint, priority| {
        endpoint.on(priority, "*", async |ear: Arc<Ear>, event: Event<Value>| {
            ear.hear(&event);
            Ok::<_, Infallible>(())
        })
    })
}

/// Keeps every `info`, and then says of it what `answer` makes of the event.
pub(super) fn answering(
    name: &'static str,
    recorder: &Recorder,
    answer: impl Fn(&Event<Value>) -> std::result::Result<NotificationResult, Sick> + Send + Sync + 'static,
) -> NotificationEndpoint<Ear> {
    let ear = Ear { name, recorder: recorder.clone() };
    NotificationEndpoint::new(ear).on(Priority::Info, "*", move |ear: Arc<Ear>, event: Event<Value>| {
        ear.hear(&event);
        let answer = answer(&event);
        async move { answer }
    })
}

/// Keeps every batch of `info` as the numbers in it.
pub(super) fn batch_ear(name: &'static str, recorder: &Recorder) -> NotificationEndpoint<Ear> {
    let ear = Ear { name, recorder: recorder.clone() };
    NotificationEndpoint::new(ear).on_batch(Priority::Info, "*", async |ear: Arc<Ear>, events: Vec<Event<Value>>| {
        ear.recorder.record(ear.name, numbers(&events));
        Ok::<_, Infallible>(())
    })
}

/// The numbers of events, in their order.
pub(super) fn numbers(events: &[Event<Value>]) -> String {
    events.iter().map(|event| event.payload["n"].to_string()).collect::<Vec<_>>().join(" ")
}

/// The target of `topic` in the exchange of this case.
pub(super) fn target(stage: &Stage, topic: &str) -> Target {
    Target::topic(stage.name(topic)).exchange(stage.name("e"))
}

/// The name of the queue of `topic` and `priority`.
pub(super) fn queue(stage: &Stage, topic: &str, priority: Priority) -> String {
    format!("{}.{priority}", stage.name(topic))
}

/// A listener to `topics`, on a connection of its own.
pub(super) async fn listener(stage: &Stage, topics: &[&str]) -> Result<NotificationListenerBuilder> {
    let builder = NotificationListener::builder(&stage.bus().await?);
    Ok(topics.iter().fold(builder, |builder, topic| builder.target(target(stage, topic))))
}

/// What `topics` are published through, on a connection of its own.
pub(super) async fn sink(stage: &Stage, topics: &[&str]) -> Result<MessagingSink> {
    let topics = topics.iter().map(|topic| stage.name(topic));
    Ok(MessagingSink::new(&stage.bus().await?).topics(topics).exchange(stage.name("e")))
}

/// A publisher to `topics`.
pub(super) async fn notifier(stage: &Stage, topics: &[&str]) -> Result<Notifier> {
    Ok(Notifier::over("conformance.host-1", sink(stage, topics).await?).timeout(stage.budget().arrive))
}

/// Publishes an `info` for each of `numbers`, one after the other.
pub(super) async fn tell(notifier: &Notifier, numbers: impl IntoIterator<Item = u32>) -> Result<()> {
    for n in numbers {
        notifier.info(&Context::new(), "order.created", &json!({ "n": n })).await?;
    }
    Ok(())
}

/// `tries` tries, so close together that a case on a real clock need not wait.
pub(super) fn impatient(tries: u32) -> FailurePolicy {
    FailurePolicy::default().with_tries(tries).with_first_wait(Duration::from_millis(5))
}

pub(super) fn many(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN)
}

/// `what`, each as a number.
pub(super) fn sorted(what: impl IntoIterator<Item = String>) -> std::result::Result<Vec<u32>, Failed> {
    let mut numbers = what.into_iter().map(|n| n.parse()).collect::<std::result::Result<Vec<u32>, _>>()?;
    numbers.sort_unstable();
    Ok(numbers)
}
