//! Invokes one handler and contains its panics.

use std::pin::pin;

use tracing::{Instrument, debug_span};

use crate::notify::endpoint::HandlerTable;
use crate::notify::{Event, NotificationResult};
use crate::panic::{caught, caught_in};
use crate::{Error, Failure};

/// What became of each event that one handler was called with.
pub(super) struct Invocation {
    /// The events whose payload does not decode into the handler's type, with the errors.
    /// Each by its index among the events that the handler was called with.
    pub(super) unreadable: Vec<(usize, Error)>,
    /// What the handler did with the others, all of them together.
    pub(super) outcome: HandlerOutcome,
}

/// What a handler returned; a panic of it is a failure.
pub(super) enum HandlerOutcome {
    Handled,
    Requeued,
    Failed(Failure),
}

/// Runs the handler of `endpoint` with the index `handler` on `events`. A panic in it, or in the decoding of its
/// payloads, is a failure of these events and of nothing else.
pub(super) async fn invoke(endpoint: &HandlerTable, handler: usize, events: Vec<Event>, attempt: u32) -> Invocation {
    let handler = endpoint.handler(handler);
    let span = debug_span!("notification.handle", handler = ?handler, events = events.len(), attempt);
    let begun = match caught(|| span.in_scope(|| handler.begin(events))) {
        Ok(begun) => begun,
        Err(panic) => {
            return Invocation { unreadable: Vec::new(), outcome: HandlerOutcome::Failed(Failure::panicked(&panic)) };
        }
    };
    let outcome = match begun.running {
        None => HandlerOutcome::Handled,
        Some(running) => match caught_in(pin!(Some(running.instrument(span)))).await {
            Ok(Ok(NotificationResult::Handled)) => HandlerOutcome::Handled,
            Ok(Ok(NotificationResult::Requeue)) => HandlerOutcome::Requeued,
            Ok(Err(failure)) => HandlerOutcome::Failed(failure),
            Err(panic) => HandlerOutcome::Failed(Failure::panicked(&panic)),
        },
    };
    Invocation { unreadable: begun.unreadable, outcome }
}
