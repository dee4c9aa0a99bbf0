//! The events that wait, within their limits. No I/O.
//!
//! The state machine of the outbox: pure, so that its limits are tested without a broker. Events are numbered in the
//! order of their arrival; `flush` waits until no event with a number below a given one is left.

use std::collections::{BTreeMap, VecDeque};

use super::outbox_config::{OutboxConfig, WhenFull};
use super::outbox_counts::{Loss, Losses, OutboxCounts, count};
use crate::notify::outgoing_event::OutgoingEvent;
use crate::notify::sink::Sinks;
use crate::{Deadline, Error, Executed, Result};

/// Whether an event is in the outbox.
///
/// Returned by `notify` and the methods of `BackgroundNotifier` that are named after a priority. An event that is
/// queued may still be lost later; the counts tell how many were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Queued {
    /// It will be published, or given up when it is too old.
    Yes,
    /// It was dropped, because the outbox is full.
    Dropped,
}

/// An event with all that publishing it needs; a later setting of its notifier does not change it.
#[derive(Debug)]
pub(super) struct QueuedEvent {
    /// Ascends in the order of arrival; a flush waits for all numbers below its own.
    pub(super) number: u64,
    /// With its ids and its time, which are those of the moment it was queued.
    pub(super) event: OutgoingEvent,
    /// Those of the notifier that queued it.
    pub(super) sinks: Sinks,
    /// When the event is too old and given up.
    pub(super) deadline: Deadline,
    /// In bytes, as [`OutboxConfig::max_bytes`] counts them.
    /// Its text and the fixed size of this struct.
    bytes: usize,
}

/// The events that wait or are being published, the counts of the others, and the losses that are not logged yet.
#[derive(Debug)]
pub(super) struct Outbox {
    /// The limits, fixed at the start.
    config: OutboxConfig,
    /// Oldest first.
    waiting: VecDeque<QueuedEvent>,
    /// The number and the size of each event that is being published.
    in_flight: BTreeMap<u64, usize>,
    /// The sum over `waiting` and `in_flight`.
    bytes: usize,
    /// Given to the next event; no number is given twice.
    end: u64,
    /// Set once; a closed outbox still publishes what it holds.
    closed: bool,
    /// Totals since the start; `held` is computed on reading.
    counts: OutboxCounts,
    /// Reset by each warning.
    unreported: Losses,
}

impl Outbox {
    /// An empty outbox, which takes events until it is closed.
    pub(super) fn new(config: OutboxConfig) -> Self {
        Self {
            config,
            waiting: VecDeque::new(),
            in_flight: BTreeMap::new(),
            bytes: 0,
            end: 0,
            closed: false,
            counts: OutboxCounts::default(),
            unreported: Losses::default(),
        }
    }

    /// Puts `event` in if there is room for it, or can be made.
    ///
    /// Errors: `Closed` after `close` or `abandon`, with [`Executed::No`].
    ///
    /// If the outbox is full, `WhenFull` decides whether this event or the oldest waiting ones are lost.
    pub(super) fn push(&mut self, event: OutgoingEvent, sinks: &Sinks) -> Result<Queued> {
        if self.closed {
            return Err(Error::closed("notify").with_executed(Executed::No));
        }
        // The fixed part counts too, or many tiny events would take far more memory than the limit says.
        let bytes = event.text_len() + size_of::<QueuedEvent>();
        if !self.make_room(bytes) {
            self.lose(Loss::Full);
            return Ok(Queued::Dropped);
        }
        let deadline = Deadline::after(self.config.age);
        self.waiting.push_back(QueuedEvent { number: self.end, event, sinks: sinks.clone(), deadline, bytes });
        self.bytes += bytes;
        self.end += 1;
        self.counts.queued += 1;
        Ok(Queued::Yes)
    }

    /// The next event to publish; it stays in the outbox until it is [`settled`](Self::settle).
    ///
    /// It keeps counting against the limits.
    pub(super) fn take(&mut self) -> Option<QueuedEvent> {
        let entry = self.waiting.pop_front()?;
        self.in_flight.insert(entry.number, entry.bytes);
        Some(entry)
    }

    /// Removes an event that was taken, and counts it as published or lost.
    ///
    /// A number that is not in flight changes nothing, which happens after `abandon`.
    pub(super) fn settle(&mut self, number: u64, outcome: Result<(), (Loss, Option<Error>)>) {
        let Some(bytes) = self.in_flight.remove(&number) else { return };
        self.bytes -= bytes;
        match outcome {
            Ok(()) => self.counts.published += 1,
            Err((loss, error)) => {
                self.lose(loss);
                self.unreported.last_error = error.or(self.unreported.last_error.take());
            }
        }
    }

    /// Gives up everything, for good; says how many events that were.
    ///
    /// Publishes that are under way may still arrive; they count as abandoned.
    pub(super) fn abandon(&mut self) -> u64 {
        self.closed = true;
        let lost = self.held() as u64;
        self.waiting.clear();
        self.in_flight.clear();
        self.bytes = 0;
        self.counts.abandoned += lost;
        count("abandoned", lost);
        lost
    }

    /// Refuses further events; those inside are still published.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// A snapshot; the totals never decrease.
    pub(super) fn counts(&self) -> OutboxCounts {
        OutboxCounts { held: self.held(), ..self.counts }
    }

    /// The number that the next event will have, so a flush waits for all below it.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The number of the oldest event that waits or is being published.
    ///
    /// `None` if the outbox is empty.
    pub(super) fn oldest(&self) -> Option<u64> {
        let waiting = self.waiting.front().map(|entry| entry.number);
        let in_flight = self.in_flight.keys().next().copied();
        waiting.into_iter().chain(in_flight).min()
    }

    /// How many events have a number under `end`.
    pub(super) fn held_before(&self, end: u64) -> usize {
        // Both are sorted by number: events are taken in the order in which they were queued.
        self.in_flight.range(..end).count() + self.waiting.partition_point(|entry| entry.number < end)
    }

    /// Events that are being published do not count.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether there are losses that are not logged yet.
    pub(super) fn has_unreported(&self) -> bool {
        !self.unreported.are_none()
    }

    /// Takes the losses that are not logged yet; they count as logged.
    pub(super) fn take_unreported(&mut self) -> Losses {
        std::mem::take(&mut self.unreported)
    }

    /// Waiting or being published.
    fn held(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }

    /// Whether there is room for an event of `bytes`, after older ones were dropped for it if that is the policy.
    ///
    /// Events that are being published are never dropped.
    fn make_room(&mut self, bytes: usize) -> bool {
        if self.fits(bytes, self.held(), self.bytes) {
            return true;
        }
        let in_flight: usize = self.in_flight.values().sum();
        // Nothing is dropped for an event that would not fit even then.
        if self.config.when_full == WhenFull::DropNewest || !self.fits(bytes, self.in_flight.len(), in_flight) {
            return false;
        }
        while !self.fits(bytes, self.held(), self.bytes) {
            let oldest = self.waiting.pop_front().expect("without what waits it fits");
            self.bytes -= oldest.bytes;
            self.lose(Loss::Full);
        }
        true
    }

    /// Whether an event of `bytes` fits beside so much.
    ///
    /// The limits are `max_events` and `max_bytes` of the configuration.
    fn fits(&self, bytes: usize, events_held: usize, bytes_held: usize) -> bool {
        events_held < self.config.max_events && bytes_held.saturating_add(bytes) <= self.config.max_bytes
    }

    /// Counts a loss, for the counters, the metric and the next warning.
    fn lose(&mut self, loss: Loss) {
        self.unreported.add(loss);
        match loss {
            Loss::Full => {
                self.counts.dropped += 1;
                count("full", 1);
            }
            Loss::Expired => {
                self.counts.expired += 1;
                count("expired", 1);
            }
            Loss::Failed => {
                self.counts.failed += 1;
                count("failed", 1);
            }
        }
    }
}
