//! The effect of cutting every connection.

use super::item::{Item, State};
use super::{Ledger, Phase};
use crate::programs::delivery::rules;

impl Ledger {
    /// Unsettled messages return to their queues; so may messages whose settlement had not reached the bus.
    pub(super) fn cut(&mut self, outcome: &Result<(), String>) {
        if let Err(error) = outcome {
            self.broken(&rules::BACK, error.clone());
        }
        for held in self.held.values_mut().filter(|held| !held.over) {
            held.lost = true;
        }
        for reading in &mut self.readers {
            reading.orphans |= reading.phase == Phase::Stopped;
        }
        for queue in self.queues.values_mut() {
            queue.has_lost_a_reader |= queue.readers > 0;
            queue.copies.values_mut().for_each(Item::cut);
        }
    }
}

impl Item {
    /// A copy in hand must come again. One that was just settled may come again, or may be gone.
    /// A waiting copy that a cancelled poll had begun to settle may come twice.
    fn cut(&mut self) {
        match self.state {
            State::Held(..) => self.give_back(),
            State::Settled => {
                self.give_back();
                self.doubt();
            }
            State::Waiting => self.doubled |= self.settling_at.is_some(),
            State::Gone => {}
        }
    }
}
