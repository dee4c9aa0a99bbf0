//! Which publishes are certain, although lapin hands a returned message to whichever confirm completes next.
//!
//! lapin queues returned messages and gives each confirm that completes the first one in that queue. A return reaches us
//! before the confirm of its own message, so with W the queue and U the returned messages that are not confirmed yet,
//! |W| <= |U| always: a return adds one to both, a confirm takes one from W if there is one, and from U at most one.
//! What a lane has observed whenever nothing is left to observe is a prefix of what lapin completed, in lapin's order: one
//! thread completes and wakes, one after the other. So when M was confirmed, at the end of that prefix, a return of M was
//! seen or lies in W, and |W| <= |U| <= the mandatory publishes that are out. As many completions later, whosever they
//! are, W has given out all it had, and once they are observed, M was routed if no return of it was seen. In between the
//! order of observation is anybody's, and proves nothing. With one publish at a time there is nothing to wait for.

use std::collections::{HashSet, VecDeque};

/// The position of a publish in its channel.
pub(crate) type Sequence = u64;

/// Numbers the publishes of one channel, and releases the mandatory ones once their fate is certain.
#[derive(Debug, Default)]
pub(crate) struct Barrier {
    issued: Sequence,
    completed: u64,
    /// The mandatory publishes that are not complete: only those can be returned.
    out: HashSet<Sequence>,
    /// Confirmed since the last time that nothing was left to observe.
    fresh: Vec<Sequence>,
    /// Confirmed publishes, each with the number of completions that makes it certain.
    held: VecDeque<(u64, Sequence)>,
}

impl Barrier {
    /// Numbers the next publish.
    pub(crate) fn issue(&mut self, mandatory: bool) -> Sequence {
        self.issued += 1;
        if mandatory {
            self.out.insert(self.issued);
        }
        self.issued
    }

    /// Notes that the broker confirmed `sequence`, one way or the other. True if it is held, because it may have been
    /// returned.
    pub(crate) fn complete(&mut self, sequence: Sequence) -> bool {
        self.completed += 1;
        let held = self.out.remove(&sequence);
        if held {
            self.fresh.push(sequence);
        }
        held
    }

    /// The held publishes whose fate is certain. To be asked only when everything that is complete was observed.
    pub(crate) fn release(&mut self) -> Vec<Sequence> {
        let certain = self.completed + self.out.len() as u64;
        self.held.extend(self.fresh.drain(..).map(|sequence| (certain, sequence)));
        let ripe = self.held.iter().take_while(|(certain, _)| *certain <= self.completed).count();
        self.held.drain(..ripe).map(|(_, sequence)| sequence).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_publish_at_a_time_waits_for_nothing() {
        let mut barrier = Barrier::default();
        for _ in 0..3 {
            let sequence = barrier.issue(true);
            assert!(barrier.complete(sequence));
            assert_eq!(barrier.release(), [sequence]);
        }
    }

    #[test]
    fn a_confirm_is_held_for_as_many_completions_as_mandatory_ones_are_out_and_no_longer() {
        let mut barrier = Barrier::default();
        let [_never_confirmed, two, _three] = [(); 3].map(|()| barrier.issue(true));
        barrier.complete(two);
        assert!(barrier.release().is_empty());
        // Later publishes count as well: one confirm that never comes stops nobody.
        let [four, five] = [(); 2].map(|()| barrier.issue(true));
        for (sequence, released) in [(four, vec![]), (five, vec![two])] {
            barrier.complete(sequence);
            assert_eq!(barrier.release(), released);
        }
    }

    #[test]
    fn what_cannot_be_returned_is_not_waited_for() {
        let mut barrier = Barrier::default();
        let (optional, mandatory) = (barrier.issue(false), barrier.issue(true));
        assert!(barrier.complete(mandatory));
        assert_eq!(barrier.release(), [mandatory]);
        assert!(!barrier.complete(optional));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Publish {
            mandatory: bool,
            routable: bool,
        },
        /// The broker returns the first unroutable message that it has not returned yet.
        Return,
        /// lapin completes the confirm of any message that is out, its return being on its way at the latest now.
        Confirm(usize),
        /// The lane is woken and takes everything that is complete, in any order.
        Observe(Vec<usize>),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let publish =
            any::<(bool, bool)>().prop_map(|(optional, routable)| Step::Publish { mandatory: !optional, routable });
        let observe = prop::collection::vec(any::<usize>(), 0..8).prop_map(Step::Observe);
        // More confirms than publishes: with few out at a time, the narrow cases are met.
        let confirm = any::<usize>().prop_map(Step::Confirm);
        let step = prop_oneof![4 => publish, 2 => Just(Step::Return), 5 => confirm, 3 => observe];
        prop::collection::vec(step, 1..300)
    }

    /// A channel: the broker's side, lapin's attribution of returns, and the lane with its barrier.
    #[derive(Default)]
    struct World {
        barrier: Barrier,
        mandatory: HashSet<Sequence>,
        unroutable: VecDeque<Sequence>,
        never_routed: HashSet<Sequence>,
        out: Vec<Sequence>,
        waiting: VecDeque<Sequence>,
        /// Completed by lapin and not observed, with the return that came along.
        ready: Vec<(Sequence, Option<Sequence>)>,
        told: BTreeMap<Sequence, bool>,
    }

    impl World {
        fn publish(&mut self, mandatory: bool, routable: bool) {
            let sequence = self.barrier.issue(mandatory);
            self.out.push(sequence);
            if mandatory {
                self.mandatory.insert(sequence);
                if !routable {
                    self.unroutable.push_back(sequence);
                    self.never_routed.insert(sequence);
                }
            }
        }

        fn return_first(&mut self) {
            self.waiting.extend(self.unroutable.pop_front());
        }

        fn confirm(&mut self, index: usize) {
            let sequence = self.out.remove(index);
            // The broker works in order: what it returned before this one precedes it.
            while self.never_routed.contains(&sequence) && self.unroutable.contains(&sequence) {
                self.return_first();
            }
            let returned = self.waiting.pop_front();
            self.ready.push((sequence, returned));
        }

        fn observe(&mut self, order: &[usize]) {
            let mut order = order.iter();
            while !self.ready.is_empty() {
                let index = order.next().map_or(0, |index| index % self.ready.len());
                let (sequence, returned) = self.ready.remove(index);
                self.barrier.complete(sequence);
                if let Some(returned) = returned {
                    self.told.entry(returned).or_insert(false);
                }
            }
            for certain in self.barrier.release() {
                self.told.entry(certain).or_insert(true);
            }
        }
    }

    /// The outcome that carries a return may be taken in after one that was complete later.
    #[test]
    fn a_return_that_is_ready_is_taken_in_before_anybody_is_told() {
        let mut world = World::default();
        world.publish(true, false);
        world.publish(true, false);
        world.return_first();
        world.return_first();
        // The second publish is confirmed, and its confirm takes the return of the first.
        world.confirm(1);
        world.observe(&[]);
        // A third is confirmed before the first, and its confirm takes the return of the second.
        world.publish(true, true);
        world.confirm(1);
        world.confirm(0);
        world.observe(&[1, 0]);
        assert_eq!(world.told, BTreeMap::from([(1, false), (2, false), (3, true)]));
    }

    proptest! {
        /// Every order of confirms and of observation, with lapin's attribution emulated: nobody is told of another's
        /// return, nobody whose message was returned is told that it arrived, and everybody is told in the end.
        #[test]
        fn no_return_is_missed_and_none_is_told_to_the_wrong_publisher(steps in steps()) {
            let mut world = World::default();
            for step in steps {
                match step {
                    Step::Publish { mandatory, routable } => world.publish(mandatory, routable),
                    Step::Return => world.return_first(),
                    Step::Confirm(index) if !world.out.is_empty() => world.confirm(index % world.out.len()),
                    Step::Confirm(_) => {}
                    Step::Observe(order) => world.observe(&order),
                }
            }
            while !world.out.is_empty() {
                world.confirm(0);
            }
            world.observe(&[]);
            prop_assert_eq!(world.told.len(), world.mandatory.len());
            for (sequence, arrived) in &world.told {
                prop_assert_eq!(*arrived, !world.never_routed.contains(sequence), "{}", sequence);
            }
        }
    }
}
