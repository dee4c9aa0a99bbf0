//! The effect of a poll: which messages it may return.

use super::hand::Held;
use super::item::{Fate, Item, State};
use super::{Ledger, Phase};
use crate::programs::delivery::event::{Got, Outcome, Polled};
use crate::programs::delivery::program::Reads;
use crate::programs::delivery::routing::QueueName;
use crate::programs::delivery::rules;

impl Ledger {
    /// Checks the number of messages, each message and the window.
    /// An end is right only for a stopped listener.
    /// A failure is never right here, because a poll whose transport closes has an event of its own.
    pub(super) fn polled(&mut self, reader: usize, max: usize, polled: &Polled) {
        match polled {
            Polled::Nothing => self.gave_up(reader),
            Polled::End if self.readers[reader].phase == Phase::Stopped => {}
            Polled::End | Polled::Failed(_) => {
                self.broken(&rules::ENDED, format!("a poll of reader {reader}, which goes on, ended {polled:?}"));
            }
            Polled::Messages(messages) => {
                self.gave(reader);
                if messages.is_empty() || messages.len() > max {
                    let how = format!("a poll of reader {reader} for {max} gave {}", messages.len());
                    self.broken(&rules::AT_MOST, how);
                }
                for got in messages {
                    self.got(reader, got);
                }
                self.window(reader);
            }
        }
    }

    /// A poll was cancelled. It may have begun to settle the messages that it would have returned.
    /// Only readers that settle before handover are affected; other polls settle nothing.
    fn gave_up(&mut self, reader: usize) {
        if self.readers[reader].reader.before_handover {
            let waiting = self.copies_of(reader).filter(|copy| copy.state == State::Waiting);
            waiting.for_each(|copy| copy.settling_at = Some(reader));
        }
    }

    /// Messages that a cancelled poll settled have been returned by now, or are lost.
    pub(super) fn gave(&mut self, reader: usize) {
        let settling = self.copies_of(reader).filter(|copy| copy.settling_at == Some(reader));
        settling.for_each(|copy| copy.settling_at = None);
    }

    /// The copies in every queue of the reader.
    fn copies_of(&mut self, reader: usize) -> impl Iterator<Item = &mut Item> {
        let plans = &self.readers[reader].plans;
        let its = self.queues.iter_mut().filter(|(name, _)| plans.iter().any(|plan| plan.queue == **name));
        its.flat_map(|(_, queue)| queue.copies.values_mut())
    }

    /// A poll whose transport was closed must fail with `Closed`; that of a stopped listener may also end.
    pub(super) fn hung_up(&mut self, reader: usize, polled: &Polled) {
        let drained = *polled == Polled::End && self.readers[reader].phase == Phase::Stopped;
        if *polled != Polled::Failed(Outcome::Closed) && !drained {
            let how = format!("a poll of reader {reader}, whose transport was closed, ended {polled:?}");
            self.broken(&rules::ENDED_WITH, how);
        }
    }

    /// Checks one message and moves its copy to the reader.
    /// A message that was not in a queue of the reader is held without a place: its settlement changes no copy.
    fn got(&mut self, reader: usize, got: &Got) {
        let Some((number, queue)) = got.number.and_then(|number| Some((number, self.queue_of(reader, number)?))) else {
            self.held.insert(got.token, Held::by(reader, None));
            let long = matches!(&self.readers[reader].reader.reads, Reads::Queue { bytes: Some(_), .. });
            let rule = if long { &rules::LONG_NAMES } else { &rules::ADDRESSED };
            self.broken(rule, format!("reader {reader} was handed message {:?}", got.number));
            return;
        };
        self.held.insert(got.token, Held::by(reader, Some((queue.clone(), number))));
        if !got.intact {
            self.broken(&rules::UNCHANGED, format!("message {number} came changed to reader {reader}"));
        }
        self.marks(reader, number, &queue, got.redelivered);
        self.order(reader, number, &queue, got.redelivered);
        let before_handover = self.readers[reader].reader.before_handover;
        let copy = self.queues.get_mut(&queue).and_then(|queue| queue.copies.get_mut(&number));
        let copy = copy.expect("the copy was found");
        copy.seen = true;
        if before_handover {
            copy.settle();
        } else {
            copy.state = State::Held(reader, got.token);
        }
    }

    /// The queue of `reader` with a copy of the message.
    /// If several queues of the reader have a copy, the first one is taken.
    fn queue_of(&self, reader: usize, number: usize) -> Option<QueueName> {
        let plans = self.readers[reader].plans.iter();
        let mut names = plans.map(|plan| &plan.queue);
        let has = |name: &&QueueName| self.queues.get(*name).is_some_and(|queue| queue.copies.contains_key(&number));
        names.find(has).cloned()
    }

    /// Checks the state of the copy and the redelivered flag.
    /// A copy that may be delivered twice after a cut is forgiven once, except for its expiration.
    fn marks(&mut self, reader: usize, number: usize, name: &QueueName, redelivered: bool) {
        let queue = self.queues.get_mut(name).expect("the queue was found");
        let copy = queue.copies.get_mut(&number).expect("the copy was found");
        let mut broken = Vec::new();
        match copy.state {
            State::Settled | State::Gone => broken.push(&rules::GONE),
            State::Held(..) => broken.push(&rules::ONE_HAND),
            State::Waiting if copy.fate == Fate::Expired => broken.push(&rules::EXPIRED),
            State::Waiting => {}
        }
        if copy.seen && !redelivered {
            broken.push(&rules::MARKED);
        }
        if copy.doubled && broken.iter().any(|rule| **rule != rules::EXPIRED) {
            // This was the second delivery of a doubled copy.
            broken.retain(|rule| **rule == rules::EXPIRED);
            copy.doubled = false;
        }
        if redelivered && !copy.seen && !queue.has_lost_a_reader {
            broken.push(&rules::FRESH);
        }
        for rule in broken {
            self.broken(rule, format!("message {number} of queue '{name}' came to reader {reader}"));
        }
    }

    /// Redelivered messages may come in any order.
    /// Compares the numbers of messages from one publisher in one queue, at one reader.
    fn order(&mut self, reader: usize, number: usize, name: &QueueName, redelivered: bool) {
        if redelivered {
            return;
        }
        let publisher = self.queues[name].copies[&number].publisher;
        let last = self.readers[reader].last.insert((name.clone(), publisher), number);
        if let Some(last) = last.filter(|last| *last > number) {
            let how = format!("message {number} of queue '{name}' came to reader {reader} after message {last}");
            self.broken(&rules::ORDER, how);
        }
    }

    /// The window counts for each queue of the reader.
    /// Messages that were settled, or whose listener or connection is gone, do not count.
    fn window(&mut self, reader: usize) {
        let reading = &self.readers[reader];
        if reading.reader.before_handover {
            return;
        }
        let bound = usize::from(reading.reader.window) * reading.plans.len();
        let held = self.held.values().filter(|held| held.reader == reader && !held.over && !held.lost).count();
        if held > bound {
            self.broken(&rules::WINDOW, format!("reader {reader} holds {held} messages, and may hold {bound}"));
        }
    }
}
