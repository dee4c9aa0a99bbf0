//! The state of a transport's link, and what the supervisor does in it. Pure: no I/O, no clock.
//!
//! Every attempt to connect has a number, its generation, and every event of a link carries it.
//! An event of an abandoned link is late, and changes nothing.
//!
//! The supervisor performs the phase and reports events.
//! So every rule about reconnecting can be tested without a broker.

use crate::backoff::Backoff;

/// The number of an attempt to connect, and of the link that results from it. The first is 1.
/// It grows with each attempt and is never used again. 0 means no link.
pub(crate) type Generation = u64;

/// The state of a link, which is what its supervisor does until the next event.
/// A connected phase carries the generation of its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    /// A connect is under way, to the next host in turn.
    Connecting(Generation),
    /// Connected; listeners resubscribe before publishers resume.
    Resubscribing(Generation),
    /// Connected; publishers and listeners work.
    Ready(Generation),
    /// Connected, but the broker blocks publishes, for this reason.
    /// Consumers go on, because they use the other connection.
    Blocked(Generation, String),
    /// Disconnected; the next connect starts after the backoff.
    Lost { reason: String, backoff: Backoff },
    /// The transport is closed. Final.
    Closed,
}

/// What the supervisor observed. An event of a link carries the generation of that link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// Both connections are open. Listeners have not seen the link yet.
    Connected(Generation),
    /// The connect failed; `needs_operator` means that a retry cannot succeed before a change of configuration.
    Failed { generation: Generation, reason: String, needs_operator: bool },
    /// Every listener has tried to resubscribe, or the time for that is over.
    Resubscribed(Generation),
    /// The broker sent connection.blocked, with its reason, such as `low on memory`.
    Blocked(Generation, String),
    /// The broker sent connection.unblocked, so publishers may resume.
    Unblocked(Generation),
    /// The link was up long enough that its loss starts with the shortest backoff.
    Stable(Generation),
    /// A connection of the link ended. The reason is for operators.
    Lost(Generation, String),
    /// The backoff is over, so the next attempt begins, with a new generation.
    RetryDue,
    /// The transport closes. This fits every phase, and no later event changes `Phase::Closed`.
    Closed,
}

/// The state of a link, and the counts that determine the next backoff.
#[derive(Debug)]
pub(crate) struct StateMachine {
    /// Changed by `apply` only.
    phase: Phase,
    /// Of the last attempt, also after it failed.
    generation: Generation,
    /// Failed attempts and losses since a link was last stable.
    failures: u32,
    /// Consecutive failed attempts that need an operator.
    refusals: u32,
    /// The reason of an alarm that the broker raised while listeners resubscribed.
    alarm: Option<String>,
    /// How many other hosts the URL has. So many losses in a row may fail over quickly.
    others: u32,
}

impl StateMachine {
    /// A machine whose first connect is under way, to one of so many hosts.
    /// `hosts` counts those of the URL; more than one allows a quick failover.
    pub(crate) fn new(hosts: usize) -> Self {
        let others = u32::try_from(hosts.saturating_sub(1)).unwrap_or(u32::MAX);
        Self { phase: Phase::Connecting(1), generation: 1, failures: 0, refusals: 0, alarm: None, others }
    }

    /// The supervisor compares it before and after an event.
    pub(crate) fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Applies an event. One of another generation, or one that does not fit the phase, changes nothing.
    ///
    /// An alarm during `Resubscribing` is remembered, because listeners may work under it.
    /// The loss of a link is followed by quick attempts on as many other hosts as there are, and then by growing waits.
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
                // Only as often as there are other hosts: a link that is lost each time it is made
                // is not the fault of one host.
                let failover = self.failures < self.others;
                match self.lost(reason, false) {
                    Phase::Lost { reason, .. } if failover => Phase::Lost { reason, backoff: Backoff::Failover },
                    lost => lost,
                }
            }
            (Phase::Lost { .. }, Event::RetryDue) => {
                // Before the attempt, so events of an earlier one no longer match.
                self.generation += 1;
                Phase::Connecting(self.generation)
            }
            _ => return,
        };
        self.phase = next;
    }

    /// Failures that need an operator are counted apart, and any other failure resets that count.
    /// The long waits grow with that count, and the others with all failures since a link was stable.
    fn lost(&mut self, reason: String, needs_operator: bool) -> Phase {
        let backoff = if needs_operator { Backoff::Slow(self.refusals) } else { Backoff::Exponential(self.failures) };
        self.refusals = if needs_operator { self.refusals.saturating_add(1) } else { 0 };
        self.failures = self.failures.saturating_add(1);
        Phase::Lost { reason, backoff }
    }
}

#[cfg(test)]
mod tests;
