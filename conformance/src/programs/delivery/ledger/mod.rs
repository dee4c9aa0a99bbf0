//! The reference model of queues: from each operation and its result it derives which rules are broken. Pure.

mod cut;
mod hand;
mod item;
mod publishing;
mod reading;

use std::collections::{BTreeMap, BTreeSet};

use oslo_messaging::driver::{Capabilities, Capability};

use super::event::{Event, Outcome};
use super::program::{NotificationQueue, Program, Reader, Reads};
use super::routing::{Plan, QueueName, Routing, plans};
use super::rules;
use crate::programs::{Rule, Violation};
use hand::Held;
use item::{Fate, Item, Queue, State};

/// Every queue, its messages, and the unsettled messages of every reader.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// By index. The end of a program appends readers for unread queues.
    pub(crate) readers: Vec<Reading>,
    /// Those of the driver under test, at the begin of the program.
    capabilities: Capabilities,
    /// Follows each declaration and deletion, and says which queues a publish reaches.
    routing: Routing,
    /// Shared queues stay, private ones go with their reader.
    queues: BTreeMap<QueueName, Queue>,
    /// By the token that the play gives each received message.
    held: BTreeMap<usize, Held>,
    /// In the order in which they were found, not sorted by gravity.
    violations: Vec<Violation>,
}

/// A reader, and the queues that it has while it is open.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) reader: Reader,
    /// How often it was opened; names its private queues.
    lives: usize,
    /// As the steps of the program left it.
    pub(crate) phase: Phase,
    /// Whether its connection was lost after it was stopped. Closing it then cannot delete its private queues.
    orphans: bool,
    /// The queues of its current life, or of the last one while it is shut.
    plans: Vec<Plan>,
    /// The last message from each queue and publisher that was not redelivered.
    last: BTreeMap<(QueueName, usize), usize>,
}

/// Whether a reader is open. It decides which operations must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Never opened, closed, dropped, or its transport was closed.
    Shut,
    /// Its queues exist, and the broker delivers to it.
    Open,
    /// It takes no new messages, but polls may return what it has.
    Stopped,
}

impl Ledger {
    /// `capabilities` decide which operations must be refused.
    pub(crate) fn new(program: &Program, capabilities: Capabilities) -> Self {
        let readers = program.readers.iter().cloned().map(Reading::new).collect();
        let (routing, queues, held) = (Routing::default(), BTreeMap::new(), BTreeMap::new());
        Self { readers, capabilities, routing, queues, held, violations: Vec::new() }
    }

    /// Checks an event against the model, and then applies it.
    /// Events must come in the order in which their operations ended.
    pub(crate) fn note(&mut self, event: &Event) {
        match event {
            Event::Opened { reader, outcome } => self.opened(*reader, outcome),
            Event::Published { number, publish, outcome } => self.published(*number, publish, outcome),
            Event::Polled { reader, max, polled } => self.polled(*reader, *max, polled),
            Event::Settled { token, settlement, outcome } => self.settled(*token, *settlement, outcome),
            Event::Stopped { reader, outcome } => self.stopped(*reader, outcome),
            Event::Closed { reader, outcome } => self.closed(*reader, outcome),
            Event::Forgotten { reader } => self.forgotten(*reader),
            Event::HungUp { reader, polled } => {
                self.hung_up(*reader, polled);
                let held = self.held.values_mut().filter(|held| held.reader == *reader && !held.over);
                held.for_each(|held| held.lost = true);
                self.forgotten(*reader);
            }
            Event::Cut { outcome } => self.cut(outcome),
            Event::Waited => self.waited(),
        }
    }

    /// The violations, including every copy that was never delivered.
    /// Adds one violation of `rules::LOST` for each copy.
    pub(crate) fn close(mut self) -> Vec<Violation> {
        for (number, queue) in self.outstanding() {
            self.broken(&rules::LOST, format!("message {number} in queue '{queue}' was not handed over"));
        }
        self.violations
    }

    /// The copies that must still be delivered.
    /// Copies that may have expired, or may be gone with a private queue, are not among them.
    pub(crate) fn outstanding(&self) -> Vec<(usize, QueueName)> {
        let mut outstanding = Vec::new();
        for (name, queue) in &self.queues {
            let due = queue.copies.iter().filter(|(_, copy)| copy.is_due());
            outstanding.extend(due.map(|(number, _)| (*number, name.clone())));
        }
        outstanding
    }

    /// Whether a copy must still be delivered and its queue has an open reader.
    pub(crate) fn is_due(&self) -> bool {
        let read = |queue: &QueueName| {
            let mut open = self.readers.iter().filter(|reading| reading.phase == Phase::Open);
            open.any(|reading| reading.plans.iter().any(|plan| plan.queue == *queue))
        };
        self.outstanding().iter().any(|(_, queue)| read(queue))
    }

    /// The queue of an unsettled message.
    /// `None` if the reader should not have received it, or if the message was settled.
    pub(crate) fn queue_in_hand(&self, token: usize) -> Option<QueueName> {
        self.held.get(&token)?.place.as_ref().map(|(queue, _)| queue.clone())
    }

    /// The current or last queue of the inbox `reader`.
    /// `None` if the reader is no inbox, or was never open.
    pub(crate) fn inbox_of(&self, reader: usize) -> Option<QueueName> {
        let reading = self.readers.get(reader)?;
        (reading.lives > 0 && reading.reader.reads == Reads::Inbox).then(|| reading.plans[0].queue.clone())
    }

    /// A reader for each shared queue that publishers declared and no reader of the program reads.
    /// Without them the messages of those queues would count as lost, and would stay on the bus.
    pub(crate) fn unread(&self) -> Vec<Reader> {
        let read: BTreeSet<_> =
            self.readers.iter().flat_map(|reading| plans(&reading.reader.reads, "")).map(|plan| plan.queue).collect();
        let ensured = self.queues.iter().filter(|(name, _)| !read.contains(*name));
        ensured.filter_map(|(_, queue)| queue.ensured_for.clone()).collect()
    }

    /// Declares the queues of the reader if the subscription succeeded.
    /// A pool must be refused by a driver without `Capability::Pools`. A name over the limit may be.
    fn opened(&mut self, reader: usize, outcome: &Outcome) {
        let reading = &mut self.readers[reader];
        let pool = matches!(&reading.reader.reads, Reads::Notifications { queue: NotificationQueue::Pool(_), .. });
        if pool && !self.capabilities.has(Capability::Pools) {
            self.expect(&rules::REFUSED, &Outcome::Unsupported, outcome, || {
                format!("opening the pooled reader {reader}")
            });
            return;
        }
        if let Reads::Queue { bytes, .. } = reading.reader.reads
            && self.refused(bytes, outcome, || format!("opening reader {reader}"))
        {
            return;
        }
        let done = *outcome == Outcome::Done;
        self.expect(&rules::OPENED, &Outcome::Done, outcome, || format!("opening reader {reader}"));
        if !done {
            return;
        }
        let reading = &mut self.readers[reader];
        reading.lives += 1;
        reading.phase = Phase::Open;
        reading.orphans = false;
        reading.last.clear();
        reading.plans = plans(&reading.reader.reads, &format!("{reader}.{}", reading.lives));
        for plan in reading.plans.clone() {
            self.routing.declare(&plan);
            let queue = self.queues.entry(plan.queue).or_default();
            queue.readers += 1;
            queue.copies.values_mut().for_each(|copy| copy.unread = false);
        }
    }

    /// The broker delivers no more; buffered messages can still be polled.
    /// From here on messages of its queues may come marked, because the stop requeues prefetched ones.
    fn stopped(&mut self, reader: usize, outcome: &Outcome) {
        self.expect(&rules::CLOSED, &Outcome::Done, outcome, || format!("stopping reader {reader}"));
        self.readers[reader].phase = Phase::Stopped;
        for plan in self.readers[reader].plans.clone() {
            let queue = self.queues.get_mut(&plan.queue).expect("an open reader has its queues");
            queue.has_lost_a_reader = true;
            if plan.private {
                // Messages that the broker had not delivered may be deleted with the queue.
                queue.copies.values_mut().for_each(Item::doubt);
            }
        }
    }

    /// Deletes private queues, unless their connection was lost after the stop.
    fn closed(&mut self, reader: usize, outcome: &Outcome) {
        let orphans = self.readers[reader].orphans;
        if !(orphans && *outcome == Outcome::Disconnected) {
            self.expect(&rules::CLOSED, &Outcome::Done, outcome, || format!("closing reader {reader}"));
        }
        self.leave(reader);
        for plan in self.readers[reader].plans.clone().iter().filter(|plan| plan.private) {
            if orphans { self.routing.doubt(&plan.queue) } else { self.routing.delete(&plan.queue) }
        }
    }

    /// Private queues may exist until they expire.
    fn forgotten(&mut self, reader: usize) {
        self.leave(reader);
        for plan in self.readers[reader].plans.clone().iter().filter(|plan| plan.private) {
            self.routing.doubt(&plan.queue);
        }
    }

    /// Ends a reader: its unsettled messages return to their queues, and its private queues are removed.
    /// Messages in hand count as over: settling them must fail from now on.
    fn leave(&mut self, reader: usize) {
        self.gave(reader);
        self.readers[reader].phase = Phase::Shut;
        for held in self.held.values_mut().filter(|held| held.reader == reader) {
            held.over = true;
        }
        for plan in self.readers[reader].plans.clone() {
            if plan.private {
                self.queues.remove(&plan.queue);
                continue;
            }
            let queue = self.queues.get_mut(&plan.queue).expect("shared queues stay");
            queue.readers -= 1;
            queue.has_lost_a_reader = true;
            let back =
                queue.copies.values_mut().filter(|copy| matches!(copy.state, State::Held(by, _) if by == reader));
            back.for_each(Item::give_back);
        }
    }

    /// Short-lived copies in queues without readers have expired now.
    /// A settlement from before the wait has reached the bus, so a later cut cannot undo it.
    fn waited(&mut self) {
        for queue in self.queues.values_mut() {
            for copy in queue.copies.values_mut().filter(|copy| copy.unread && copy.fate == Fate::MayExpire) {
                copy.fate = Fate::Expired;
            }
            queue.copies.values_mut().for_each(Item::wait);
        }
    }

    /// Breaks `rule` unless the outcome is the expected one.
    fn expect(&mut self, rule: &'static Rule, expected: &Outcome, is: &Outcome, what: impl Fn() -> String) {
        if expected != is {
            self.broken(rule, format!("{} ended {is:?}, not {expected:?}", what()));
        }
    }

    /// One rule may be broken several times, and each time is reported.
    pub(crate) fn broken(&mut self, rule: &'static Rule, how: String) {
        self.violations.push(Violation::new(rule, how));
    }
}

impl Reading {
    pub(crate) fn new(reader: Reader) -> Self {
        let (plans, last) = (Vec::new(), BTreeMap::new());
        Self { reader, lives: 0, phase: Phase::Shut, orphans: false, plans, last }
    }
}

#[cfg(test)]
mod tests;
