//! What state a link is in, and what is to be done next. Pure: no I/O, no clock.
//!
//! Every try to connect has a number of its own, its generation, and whatever happens on a link says which one it means.
//! So nothing that is late, of a link that was given up, can touch the one that came after it.

use crate::backoff::Backoff;

/// The number of a try to connect, and of the link that comes of it.
pub(crate) type Generation = u64;

/// The state of a link, and with it what its supervisor does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is being made.
    Connecting(Generation),
    /// It is there, and the listeners put back what they need before anybody publishes.
    Resubscribing(Generation),
    /// It works.
    Ready(Generation),
    /// It works, and the broker takes no publishes.
    Blocked(Generation, String),
    /// It is gone; after the backoff another is made.
    Lost { reason: String, backoff: Backoff },
    /// Nothing will be done any more.
    Closed,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Connected(Generation),
    /// It could not be made; `needs_operator` says that it takes somebody to change that.
    Failed {
        generation: Generation,
        reason: String,
        needs_operator: bool,
    },
    /// The listeners are done, one way or the other.
    Resubscribed(Generation),
    Blocked(Generation, String),
    Unblocked(Generation),
    /// It lived long enough to be trusted again.
    Stable(Generation),
    Lost(Generation, String),
    /// The backoff is over.
    RetryDue,
    Closed,
}

/// The states of a link, one after the other.
#[derive(Debug)]
pub(crate) struct StateMachine {
    phase: Phase,
    generation: Generation,
    /// How many tries failed since a link was last trusted.
    failures: u32,
    /// How many in a row failed for a reason that somebody has to needs_operator.
    refusals: u32,
    /// What the broker said of an alarm while the listeners were busy.
    alarm: Option<String>,
    /// How many hosts there are beside the one that is connected.
    others: u32,
}

impl StateMachine {
    /// The first link is being made, to one of so many hosts.
    pub(crate) fn new(hosts: usize) -> Self {
        let others = u32::try_from(hosts.saturating_sub(1)).unwrap_or(u32::MAX);
        Self { phase: Phase::Connecting(1), generation: 1, failures: 0, refusals: 0, alarm: None, others }
    }

    pub(crate) fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Takes in what happened; what is of another generation changes nothing.
    pub(crate) fn apply(&mut self, event: Event) {
        let current = self.generation;
        let next = match (&self.phase, event) {
            (Phase::Closed, _) => return,
            (_, Event::Closed) => Phase::Closed,
            (Phase::Connecting(_), Event::Connected(generation)) if generation == current => {
                self.refusals = 0;
                self.alarm = None;
                Phase::Resubscribing(current)
            }
            (Phase::Connecting(_), Event::Failed { generation, reason, needs_operator }) if generation == current => {
                self.lost(reason, needs_operator)
            }
            (Phase::Resubscribing(_), Event::Resubscribed(generation)) if generation == current => {
                match self.alarm.take() {
                    Some(reason) => Phase::Blocked(current, reason),
                    None => Phase::Ready(current),
                }
            }
            (Phase::Resubscribing(_), Event::Blocked(generation, reason)) if generation == current => {
                self.alarm = Some(reason);
                return;
            }
            (Phase::Resubscribing(_), Event::Unblocked(generation)) if generation == current => {
                self.alarm = None;
                return;
            }
            (Phase::Ready(_) | Phase::Blocked(..), Event::Blocked(generation, reason)) if generation == current => {
                Phase::Blocked(current, reason)
            }
            (Phase::Blocked(..), Event::Unblocked(generation)) if generation == current => Phase::Ready(current),
            (Phase::Resubscribing(_) | Phase::Ready(_) | Phase::Blocked(..), Event::Stable(generation))
                if generation == current =>
            {
                self.failures = 0;
                return;
            }
            (Phase::Resubscribing(_) | Phase::Ready(_) | Phase::Blocked(..), Event::Lost(generation, reason))
                if generation == current =>
            {
                // Not for ever: a link that is lost each time it is made is not the host's trouble.
                let failover = self.failures < self.others;
                match self.lost(reason, false) {
                    Phase::Lost { reason, .. } if failover => Phase::Lost { reason, backoff: Backoff::Failover },
                    lost => lost,
                }
            }
            (Phase::Lost { .. }, Event::RetryDue) => {
                self.generation += 1;
                Phase::Connecting(self.generation)
            }
            _ => return,
        };
        self.phase = next;
    }

    fn lost(&mut self, reason: String, needs_operator: bool) -> Phase {
        let backoff = if needs_operator { Backoff::Slow(self.refusals) } else { Backoff::Exponential(self.failures) };
        self.refusals = if needs_operator { self.refusals.saturating_add(1) } else { 0 };
        self.failures = self.failures.saturating_add(1);
        Phase::Lost { reason, backoff }
    }
}

#[cfg(test)]
mod tests;
