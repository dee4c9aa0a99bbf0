//! Events that are handled together, and the endpoint and attempt that they have reached.

use crate::delivery::Delivery;
use crate::notify::Event;
use crate::notify::endpoint::HandlerTable;

/// An event, and the unsettled message that brought it.
#[derive(Debug)]
pub(super) struct PendingEvent {
    pub(super) event: Event,
    pub(super) delivery: Delivery,
}

/// Events that are worked on together: one, or a batch, or what of a batch failed together.
#[derive(Debug)]
pub(super) struct WorkItem {
    pub(super) events: Vec<PendingEvent>,
    /// The index of the endpoint whose turn it is. Those before it have had the events and do not get them again.
    pub(super) endpoint: usize,
    /// Which attempt this is at that endpoint, from 1.
    pub(super) attempt: u32,
}

/// The events that one handler gets at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HandlerGroup {
    /// Its index in the endpoint, see [`HandlerTable::handler`].
    pub(super) handler: usize,
    /// Where the events are in the list that was grouped.
    pub(super) positions: Vec<usize>,
}

impl WorkItem {
    /// Begins at the first endpoint, on its first attempt.
    pub(super) fn new(events: Vec<PendingEvent>) -> Self {
        Self { events, endpoint: 0, attempt: 1 }
    }

    /// The same events on their next attempt, at the endpoint that failed: those before it do not get them again.
    pub(super) fn next_attempt(mut self) -> Self {
        self.attempt += 1;
        self
    }
}

/// What each handler of an endpoint gets of `events`, in the order in which they came; `None` are gone already.
pub(super) fn groups(endpoint: &HandlerTable, events: &[Option<PendingEvent>]) -> Vec<HandlerGroup> {
    let mut groups: Vec<HandlerGroup> = Vec::new();
    for (position, event) in events.iter().enumerate() {
        let Some(handler) = event.as_ref().and_then(|event| endpoint.handler_of(&event.event)) else { continue };
        let joined = groups.iter_mut().find(|group| group.handler == handler);
        // A handler of single events gets a group for each event.
        match joined.filter(|_| endpoint.handler(handler).takes_many) {
            Some(group) => group.positions.push(position),
            None => groups.push(HandlerGroup { handler, positions: vec![position] }),
        }
    }
    groups
}
