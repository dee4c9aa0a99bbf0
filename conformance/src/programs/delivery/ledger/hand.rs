//! Unsettled messages: what their settlement, or its absence, does to their copies.

use oslo_messaging::driver::Capability;

use super::item::{Item, State};
use super::{Ledger, Phase};
use crate::programs::delivery::event::Outcome;
use crate::programs::delivery::program::Settlement;
use crate::programs::delivery::routing::QueueName;
use crate::programs::delivery::rules;

/// A message that a reader has polled and not settled. It may outlive its listener and its connection.
#[derive(Debug)]
pub(super) struct Held {
    /// The index of the reader that polled it, whose window it fills.
    pub(super) reader: usize,
    /// Its queue and number; `None` if the reader should not have received it.
    pub(super) place: Option<(QueueName, usize)>,
    /// Whether its listener was closed or dropped: settling it must then fail with `Closed`.
    pub(super) over: bool,
    /// Whether its connection was lost, or closed with its transport: `Disconnected` is right then.
    pub(super) lost: bool,
}

impl Held {
    /// A message in hand of a listener and a connection that both live.
    pub(super) fn by(reader: usize, place: Option<(QueueName, usize)>) -> Self {
        Self { reader, place, over: false, lost: false }
    }
}

impl Ledger {
    /// Checks the result of a settlement. It must succeed while the listener and the connection live, and fail after.
    /// A dropped message reports no result, so only its return to the queue is applied.
    /// After a cut, `Disconnected` is right even if the listener was closed meanwhile.
    pub(super) fn settled(&mut self, token: usize, settlement: Settlement, outcome: &Outcome) {
        let Some(held) = self.held.remove(&token) else { return };
        let reader = held.reader;
        let what = || format!("to {settlement:?} message {:?} of reader {reader}", held.place);
        let before_handover = self.readers[reader].reader.before_handover;
        if settlement == Settlement::Drop {
            if !before_handover && !held.over && !held.lost {
                self.give_back(&held, token);
            }
            return;
        }
        if before_handover {
            // The driver settled it before handover, so this has no effect.
            if !held.over {
                self.expect(&rules::SETTLED, &Outcome::Done, outcome, what);
            }
            return;
        }
        if held.lost && *outcome == Outcome::Disconnected {
            return;
        }
        if held.over || held.lost {
            let end = if held.over { Outcome::Closed } else { Outcome::Disconnected };
            self.expect(&rules::SETTLED, &end, outcome, what);
            return;
        }
        if settlement == Settlement::Requeue && !self.capabilities.has(Capability::Requeue) {
            self.expect(&rules::REFUSED, &Outcome::Unsupported, outcome, what);
            self.change(&held, token, Item::doubt);
            return;
        }
        self.expect(&rules::SETTLED, &Outcome::Done, outcome, what);
        match settlement {
            Settlement::Acknowledge | Settlement::Reject => self.change(&held, token, Item::settle),
            Settlement::Requeue | Settlement::Drop => self.give_back(&held, token),
        }
    }

    /// Changes the copy of a held message, if the reader still has it.
    fn change(&mut self, held: &Held, token: usize, change: impl FnOnce(&mut Item)) {
        let Some((queue, number)) = &held.place else { return };
        let copy = self.queues.get_mut(queue).and_then(|queue| queue.copies.get_mut(number));
        // Another reader may have the copy by now.
        if let Some(copy) = copy.filter(|copy| matches!(copy.state, State::Held(_, by) if by == token)) {
            change(copy);
        }
    }

    /// Returns the copy to its queue, where it must be delivered again.
    fn give_back(&mut self, held: &Held, token: usize) {
        self.change(held, token, Item::give_back);
        // A requeue is final into the private queue of a stopped reader, and on a driver without requeue.
        let Some((name, number)) = &held.place else { return };
        let reading = &self.readers[held.reader];
        let private = reading.plans.iter().any(|plan| plan.private && plan.queue == *name);
        if (private && reading.phase == Phase::Stopped) || !self.capabilities.has(Capability::Requeue) {
            let copy = self.queues.get_mut(name).and_then(|queue| queue.copies.get_mut(number));
            copy.into_iter().for_each(Item::doubt);
        }
    }
}
