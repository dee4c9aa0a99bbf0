//! What a loss of every connection does.

use super::item::{Item, State};
use super::{Ledger, Phase, Reading};
use crate::programs::delivery::rules;

impl Ledger {
    /// What was in hand is the bus's again, and so may be what was settled so lately that the bus has not heard of it.
    pub(super) fn cut(&mut self, outcome: &Result<(), String>) {
        if let Err(error) = outcome {
            self.broken(&rules::BACK, error.clone());
        }
        for held in self.held.values_mut().filter(|held| !held.over) {
            held.cut = !self.readers[held.reader].reader.before_handover;
        }
        for reading in &mut self.readers {
            reading.orphans |= reading.phase == Phase::Stopped;
        }
        let settling: Vec<&Reading> = self.readers.iter().filter(|reading| reading.may_settle()).collect();
        for (name, queue) in &mut self.queues {
            queue.has_lost_a_reader |= queue.readers > 0;
            let settling = settling.iter().any(|reading| reading.plans.iter().any(|plan| plan.queue == *name));
            queue.copies.values_mut().for_each(|copy| copy.cut(settling));
        }
    }
}

impl Reading {
    /// Whether it may be about to settle what it has not handed over yet.
    fn may_settle(&self) -> bool {
        self.phase != Phase::Shut && self.gave_up && self.reader.before_handover
    }
}

impl Item {
    fn cut(&mut self, settling: bool) {
        match self.state {
            State::Held(..) => self.give_back(),
            State::Settled => {
                self.give_back();
                self.doubt();
            }
            State::Waiting => self.doubled |= settling,
            State::Gone => {}
        }
    }
}
