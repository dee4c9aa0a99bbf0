//! Hands events to one handler and sees what it makes of them.

use std::pin::pin;

use tracing::{Instrument, debug_span};

use crate::notify::endpoint::Table;
use crate::notify::{Event, NotificationResult};
use crate::panic::{caught, caught_in};
use crate::{Error, Failure};

/// What a handler made of the events it was given.
pub(super) struct Handed {
    /// Those whose payload it could not read, by their places among them.
    pub(super) unreadable: Vec<(usize, Error)>,
    /// What became of the others.
    pub(super) left: Left,
}

/// How a handler left its events.
pub(super) enum Left {
    Handled,
    Requeued,
    Failed(Failure),
}

/// Runs the handler at `place` of `endpoint` on `events`. A panic in it, or in the decoding of its payloads, is a failure
/// of these events and of nothing else.
pub(super) async fn hand(endpoint: &Table, place: usize, events: Vec<Event>, attempt: u32) -> Handed {
    let handler = endpoint.handler(place);
    let span = debug_span!("notification.handle", handler = ?handler, events = events.len(), attempt);
    let begun = match caught(|| span.in_scope(|| handler.begin(events))) {
        Ok(begun) => begun,
        Err(panic) => return Handed { unreadable: Vec::new(), left: Left::Failed(Failure::panicked(&panic)) },
    };
    let left = match begun.running {
        None => Left::Handled,
        Some(running) => match caught_in(pin!(Some(running.instrument(span)))).await {
            Ok(Ok(NotificationResult::Handled)) => Left::Handled,
            Ok(Ok(NotificationResult::Requeue)) => Left::Requeued,
            Ok(Err(failure)) => Left::Failed(failure),
            Err(panic) => Left::Failed(Failure::panicked(&panic)),
        },
    };
    Handed { unreadable: begun.unreadable, left }
}
