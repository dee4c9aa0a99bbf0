//! The task that publishes what is in the outbox.
//!
//! Publishes are polled once in the order of the outbox before any of them is awaited,
//! because drivers keep the order of the first polls.

use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, poll};
use tokio::task::coop::{consume_budget, unconstrained};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::SharedOutbox;
use super::outbox::QueuedEvent;
use super::outbox_config::OutboxConfig;
use super::outbox_counts::Loss;
use crate::panic::caught_in;
use crate::{Deadline, Error, ErrorKind, Executed, Result};

/// Publishes what `shared` holds, for ever.
///
/// Up to `in_flight` publishes run at once. Losses are logged at most once in `log_interval`.
///
/// Cancellation: events in the outbox and in flight stay counted there; the owner abandons them.
pub(super) async fn run(shared: Arc<SharedOutbox>, config: OutboxConfig) {
    let limit = config.in_flight.get();
    let mut in_flight = FuturesUnordered::new();
    let mut report_from = Instant::now();
    loop {
        for _ in in_flight.len()..limit {
            consume_budget().await;
            let Some(entry) = shared.outbox().take() else { break };
            // Polled here, once and in order, because a driver keeps the order of first polls. Unconstrained, because
            // one that had used up its share of the task would let a later one pass.
            let mut publish = Box::pin(unconstrained(publish(entry)));
            match poll!(&mut publish) {
                Poll::Ready((number, outcome)) => shared.settle(number, outcome),
                Poll::Pending => in_flight.push(publish),
            }
        }
        let (more, unreported) = shared.to_do(in_flight.len() < limit);
        if unreported && report_from <= Instant::now() {
            shared.outbox().take_unreported().warn();
            report_from = Deadline::after(config.log_interval).instant();
        }
        tokio::select! {
            biased;
            Some((number, outcome)) = in_flight.next() => shared.settle(number, outcome),
            // Publishes that ended at once left room, and events still wait: fill up before waiting.
            () = ready(()), if more => {}
            () = shared.arrived.notified() => {}
            () = sleep_until(report_from), if unreported => {}
        }
    }
}

impl SharedOutbox {
    /// Removes a published or failed event, and wakes those that wait for the outbox to empty.
    ///
    /// Waiting flushes check again.
    fn settle(&self, number: u64, outcome: Outcome) {
        self.outbox().settle(number, outcome);
        self.left.notify_waiters();
    }

    /// Whether another event can be published at once, and whether there are losses to log.
    ///
    /// Both under one lock, so that they belong together.
    fn to_do(&self, has_room: bool) -> (bool, bool) {
        let outbox = self.outbox();
        (has_room && outbox.has_waiting(), outbox.has_unreported())
    }
}

/// Why an event was lost, and what its sink said if it got there.
type Outcome = Result<(), (Loss, Option<Error>)>;

/// Publishes one event to its sinks. A panic in one of these loses this event and no other.
///
/// An event whose age has passed is not published. A transient error counts as `Expired` if the retries were
/// unlimited or the age has passed, and as `Failed` otherwise.
async fn publish(entry: QueuedEvent) -> (u64, Outcome) {
    let QueuedEvent { number, event, sinks, deadline, .. } = entry;
    if deadline.has_passed() {
        return (number, Err((Loss::Expired, None)));
    }
    let mut publishing = pin!(Some(async { sinks.publish(&event, deadline).await }));
    let published = caught_in(publishing.as_mut()).await.unwrap_or_else(|panic| {
        let error = Error::new(ErrorKind::Refused, "notify")
            .with_context("reason", "a sink panicked")
            .with_context("panic", panic);
        Err(error.with_executed(Executed::Maybe))
    });
    let outcome = published.map_err(|error| {
        let ran_out = error.is_transient() && (event.retry.max_retries.is_none() || deadline.has_passed());
        let loss = if ran_out { Loss::Expired } else { Loss::Failed };
        debug!(%error, ?loss, message_id = event.message_id, "an event was lost");
        (loss, Some(error.with_context("event_type", &event.event_type)))
    });
    (number, outcome)
}
