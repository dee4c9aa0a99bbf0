//! Which publish meets which fault. Depends on the rules, the seed and the order of publishes alone; reads no clock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use oslo_messaging::driver::{Address, Message};

use super::{Fault, FaultRule};

/// The rules and the seed of one broker, whose transports all share them.
///
/// Has a lock of its own, because predicates are user code.
#[derive(Debug, Default)]
pub(crate) struct FaultPlan {
    /// Whether there are any. Publishes of a broker without faults skip the lock.
    armed: AtomicBool,
    /// Publishes that met a fault since the broker was made.
    met: AtomicU64,
    rules: Mutex<Rules>,
}

/// Rules in the order in which they were added, and the faults at random.
#[derive(Debug, Default)]
struct Rules {
    list: Vec<FaultRule>,
    random: Option<Random>,
}

/// Faults drawn from a seed: the order of publishes alone decides which one meets which fault.
#[derive(Debug)]
struct Random {
    /// The state of the generator; every draw changes it.
    seed: u64,
    per_thousand: u64,
    faults: Vec<Fault>,
}

impl FaultPlan {
    pub(crate) fn add(&self, rule: FaultRule) {
        self.rules().list.push(rule);
        self.armed.store(true, Ordering::Release);
    }

    pub(crate) fn randomise(&self, seed: u64, per_thousand: u16, faults: Vec<Fault>) {
        self.rules().random = Some(Random { seed, per_thousand: per_thousand.into(), faults });
        self.armed.store(true, Ordering::Release);
    }

    /// Does not reset the count of met faults.
    pub(crate) fn clear(&self) {
        *self.rules() = Rules::default();
        self.armed.store(false, Ordering::Release);
    }

    /// Counts the publishes of all transports; [`clear`](Self::clear) does not reset it.
    pub(crate) fn met(&self) -> u64 {
        self.met.load(Ordering::Relaxed)
    }

    /// May return `true` after the last rule is used up.
    pub(crate) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }

    /// The fault of this publish: that of the first rule that applies, else one drawn from the seed.
    pub(crate) fn next(&self, to: &Address, message: &Message) -> Option<Fault> {
        let fault = self.rules().next(to, message)?;
        self.met.fetch_add(1, Ordering::Relaxed);
        Some(fault)
    }

    /// Also works after a predicate panicked under the lock.
    fn rules(&self) -> MutexGuard<'_, Rules> {
        // A predicate may have panicked while the lock was held; it cannot leave the rules half changed.
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rules {
    /// Later rules count the publish too, but do not apply to it.
    fn next(&mut self, to: &Address, message: &Message) -> Option<Fault> {
        // Every rule counts every publish it matches, also those that an earlier rule takes.
        let mut due = None;
        for rule in &mut self.list {
            if rule.is_due(to, message, due.is_some()) {
                due = Some(rule.fault());
            }
        }
        due.or_else(|| self.random.as_mut().and_then(Random::next))
    }
}

impl Random {
    /// Draws even if no fault follows, so that the same publishes of two runs meet the same faults.
    fn next(&mut self) -> Option<Fault> {
        if self.draw() % 1000 >= self.per_thousand || self.faults.is_empty() {
            return None;
        }
        let index = usize::try_from(self.draw() % self.faults.len() as u64).expect("it is below a length");
        Some(self.faults[index])
    }

    /// The next number of `SplitMix64`.
    ///
    /// Written here, so that no update of a crate changes the faults of a seed.
    fn draw(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(plan: &FaultPlan, publishes: usize) -> Vec<Option<Fault>> {
        let to = Address::Direct { queue: "q".into() };
        (0..publishes).map(|_| plan.next(&to, &Message::new("x"))).collect()
    }

    #[test]
    fn a_rule_skips_publishes_then_applies_and_then_is_used_up() {
        let plan = FaultPlan::default();
        plan.add(FaultRule::new(Fault::Nack).after(1).times(2));
        assert_eq!(faults(&plan, 4), [None, Some(Fault::Nack), Some(Fault::Nack), None]);
        assert_eq!(plan.met(), 2);
    }

    #[test]
    fn a_rule_applies_only_to_publishes_it_matches() {
        let plan = FaultPlan::default();
        plan.add(FaultRule::new(Fault::Nack).when(|to, _| matches!(to, Address::Fanout { .. })));
        assert_eq!(faults(&plan, 2), [None, None]);
        let fanout = Address::Fanout { topic: "t".into() };
        assert_eq!(plan.next(&fanout, &Message::new("x")), Some(Fault::Nack));
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let run = |seed| {
            let plan = FaultPlan::default();
            plan.randomise(seed, 300, vec![Fault::Drop, Fault::Nack]);
            faults(&plan, 100)
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        assert!(run(7).contains(&None) && run(7).contains(&Some(Fault::Drop)) && run(7).contains(&Some(Fault::Nack)));
    }
}
