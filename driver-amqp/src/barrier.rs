//! Which publishes are certain, although lapin hands a returned message to whichever confirm completes next.
//!
//! lapin queues returned messages and gives each confirm that completes the first one in that queue. A return reaches us
//! before the confirm of its own message, so with W the queue and U the returned messages that are not confirmed yet,
//! |W| <= |U| always: a return adds one to both, a confirm takes one from W if there is one, and from U at most one.
//! When the confirm of a message M arrives, a return of M has been handed out or lies in W. Each of the publishes that
//! are unconfirmed at that moment (at least |U| >= |W| of them) takes one from the front of W when it completes, and
//! later returns queue up behind. So when all of them have completed, a return of M has been handed out. If none was
//! seen by then, M was routed. With one publish at a time there is nothing to wait for.

use std::collections::VecDeque;

/// The position of a publish in its channel.
pub(crate) type Sequence = u64;

/// Numbers the publishes of one channel, and releases the confirmed ones once their fate is certain.
#[derive(Debug, Default)]
pub(crate) struct Barrier {
    /// The oldest publish that is not complete, and whether those from there on are.
    first: Sequence,
    complete: VecDeque<bool>,
    /// Confirmed publishes, each with the last publish that was out when its confirm came.
    held: VecDeque<(Sequence, Sequence)>,
}

impl Barrier {
    /// Numbers the next publish.
    pub(crate) fn issue(&mut self) -> Sequence {
        self.complete.push_back(false);
        self.last()
    }

    /// Notes that the broker confirmed `sequence`, or that it was never sent.
    pub(crate) fn complete(&mut self, sequence: Sequence) {
        let Some(index) = sequence.checked_sub(self.first).and_then(|index| usize::try_from(index).ok()) else {
            return;
        };
        if let Some(complete) = self.complete.get_mut(index) {
            *complete = true;
        }
        while self.complete.front() == Some(&true) {
            self.complete.pop_front();
            self.first += 1;
        }
    }

    /// Holds a confirmed `sequence` until everything that is out now has completed.
    pub(crate) fn hold(&mut self, sequence: Sequence) {
        self.held.push_back((self.last(), sequence));
    }

    /// The next held publish whose fate is certain.
    pub(crate) fn release(&mut self) -> Option<Sequence> {
        let (until, sequence) = *self.held.front()?;
        if until >= self.first {
            return None;
        }
        self.held.pop_front();
        Some(sequence)
    }

    /// The last publish that was numbered; wraps below the first while there is none.
    fn last(&self) -> Sequence {
        (self.first + self.complete.len() as Sequence).wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    #[test]
    fn one_publish_at_a_time_waits_for_nothing() {
        let mut barrier = Barrier::default();
        for _ in 0..3 {
            let sequence = barrier.issue();
            barrier.complete(sequence);
            barrier.hold(sequence);
            assert_eq!(barrier.release(), Some(sequence));
        }
    }

    #[test]
    fn a_confirm_is_held_until_what_was_out_with_it_has_completed_and_no_longer() {
        let mut barrier = Barrier::default();
        let (one, two) = (barrier.issue(), barrier.issue());
        barrier.complete(two);
        barrier.hold(two);
        assert_eq!(barrier.release(), None);
        let _later = barrier.issue();
        barrier.complete(one);
        assert_eq!(barrier.release(), Some(two));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Publish {
            routable: bool,
        },
        /// The broker gets as far as `until` among the messages that are out, returning what nobody is bound for, and
        /// confirms as many of those as `order` has, in that order.
        Confirm {
            until: Index,
            order: Vec<Index>,
        },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let publish = any::<bool>().prop_map(|routable| Step::Publish { routable });
        let confirm = (any::<Index>(), prop::collection::vec(any::<Index>(), 1..6))
            .prop_map(|(until, order)| Step::Confirm { until, order });
        prop::collection::vec(prop_oneof![3 => publish, 1 => confirm], 1..200)
    }

    /// A broker behind lapin, which hands out the returned messages in the order they came, one for each confirm.
    #[derive(Default)]
    struct Model {
        barrier: Barrier,
        out: Vec<Sequence>,
        unroutable: HashSet<Sequence>,
        /// What the broker has returned.
        sent_back: HashSet<Sequence>,
        /// What lapin has not handed out yet.
        waiting: VecDeque<Sequence>,
        handed_out: HashSet<Sequence>,
        /// What the barrier let go, and whether its return had been handed out by then.
        released: Vec<(Sequence, bool)>,
    }

    impl Model {
        fn publish(&mut self, routable: bool) {
            let sequence = self.barrier.issue();
            self.out.push(sequence);
            if !routable {
                self.unroutable.insert(sequence);
            }
        }

        fn advance(&mut self, until: usize, order: &[Index]) {
            for sequence in &self.out[..until] {
                if self.unroutable.contains(sequence) && self.sent_back.insert(*sequence) {
                    self.waiting.push_back(*sequence);
                }
            }
            for (index, left) in order.iter().zip((1..=until).rev()) {
                let sequence = self.out.remove(index.index(left));
                self.handed_out.extend(self.waiting.pop_front());
                self.barrier.complete(sequence);
                self.barrier.hold(sequence);
                while let Some(certain) = self.barrier.release() {
                    self.released.push((certain, self.handed_out.contains(&certain)));
                }
            }
        }
    }

    proptest! {
        /// Whatever the order of confirms: when a publish is let go, its return has been seen if there is one; and in the
        /// end every one is let go.
        #[test]
        fn no_return_is_missed(steps in steps(), rest in prop::collection::vec(any::<Index>(), 200)) {
            let mut model = Model::default();
            for step in steps {
                match step {
                    Step::Publish { routable } => model.publish(routable),
                    Step::Confirm { .. } if model.out.is_empty() => {}
                    Step::Confirm { until, order } => model.advance(until.index(model.out.len()) + 1, &order),
                }
            }
            model.advance(model.out.len(), &rest);
            prop_assert_eq!(model.released.len() as Sequence, model.barrier.first);
            for (sequence, seen) in &model.released {
                prop_assert_eq!(*seen, model.unroutable.contains(sequence), "{}", sequence);
            }
        }
    }
}
