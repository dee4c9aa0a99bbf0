//! Where events go: to a bus, to the log, into the memory of a test, or nowhere.
//!
//! A sink is what the reference calls a driver of its notifier. A notifier publishes each event to all of its sinks
//! at once; the first error is returned, and says `Maybe` if another sink may have published the event.

pub(super) mod log;
mod mask;
pub(super) mod messaging;
pub(super) mod noop;
pub(super) mod recording;
pub(super) mod routing;
#[cfg(feature = "yaml")]
mod yaml;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;

use super::outgoing_event::OutgoingEvent;
use crate::{Deadline, Error, ErrorKind, Executed, Result};

/// How long past the deadline a sink may still return its result.
const GRACE: Duration = Duration::from_millis(50);

/// Takes events for somewhere: a bus, a log, a test. What the reference calls a driver of its notifier.
#[async_trait]
pub trait NotificationSink: fmt::Debug + Send + Sync + 'static {
    /// Publishes `event`; returns when it is where it should be. It may try again as [`OutgoingEvent::retry`] says.
    ///
    /// Events of one publisher are first polled in the order they happened.
    /// The future is dropped soon after `deadline`.
    ///
    /// # Errors
    /// What kept the event from arriving; [`executed`](Error::executed) says whether it may have arrived all the same.
    async fn publish(&self, event: &OutgoingEvent, deadline: Deadline) -> Result<()>;

    /// Whether it never does anything with an event, so that a caller need not build one.
    fn is_noop(&self) -> bool;
}

/// The sinks of one notifier; the error of an earlier one is preferred to that of a later one.
#[derive(Debug, Clone)]
pub(super) struct Sinks(Arc<[Arc<dyn NotificationSink>]>);

impl Sinks {
    pub(super) fn of(sink: impl NotificationSink) -> Self {
        Self(Arc::new([Arc::new(sink) as Arc<dyn NotificationSink>]))
    }

    /// Copies the list, so that other copies of the notifier keep theirs.
    pub(super) fn and(&self, sink: impl NotificationSink) -> Self {
        let sink: Arc<dyn NotificationSink> = Arc::new(sink);
        Self(self.0.iter().cloned().chain([sink]).collect())
    }

    pub(super) fn are_noop(&self) -> bool {
        self.0.iter().all(|sink| sink.is_noop())
    }

    /// Publishes to every sink at once, whatever becomes of the others.
    ///
    /// Errors: the first one, in the order of the sinks; as [`outcome`] says.
    pub(super) async fn publish(&self, event: &OutgoingEvent, deadline: Deadline) -> Result<()> {
        publish_to_all(self.0.iter().map(AsRef::as_ref), event, deadline).await
    }
}

/// Publishes `event` to `sinks`, all first polled in their order and before this waits for anything.
/// Sinks that do nothing are left out, so they do not decide the outcome.
pub(super) async fn publish_to_all(
    sinks: impl Iterator<Item = &dyn NotificationSink>,
    event: &OutgoingEvent,
    deadline: Deadline,
) -> Result<()> {
    let publishes = sinks.filter(|sink| !sink.is_noop()).map(|sink| async move {
        // A sink that keeps its deadline returns an error of its own,
        // which says more than ours; it gets a moment for that.
        let limit = Deadline::at(deadline.instant() + GRACE);
        limit.run("notify", sink.publish(event, deadline)).await.unwrap_or_else(|_| Err(overrun(sink)))
    });
    outcome(join_all(publishes).await)
}

/// One result for an event that was published in several places: an error if any of them failed.
///
/// Errors: the first one. It does not say [`Executed::No`] if another sink may have published the event:
/// publishing it again would repeat it there.
pub(super) fn outcome(outcomes: Vec<Result<()>>) -> Result<()> {
    let nowhere = outcomes.iter().all(|sent| matches!(sent, Err(error) if error.executed() == Executed::No));
    outcomes.into_iter().collect::<Result<()>>().map_err(|error| {
        let told_elsewhere = !nowhere && error.executed() == Executed::No;
        if told_elsewhere { error.with_executed(Executed::Maybe) } else { error }
    })
}

/// The error of a sink that overran its deadline; the event may have been published.
fn overrun(sink: &dyn NotificationSink) -> Error {
    let reason = "a sink went on past its deadline";
    Error::new(ErrorKind::Timeout, "notify")
        .with_context("reason", reason)
        .with_context("sink", format_args!("{sink:?}"))
        .transient()
        .with_executed(Executed::Maybe)
}
