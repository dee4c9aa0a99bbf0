//! Which publish meets which fault. Pure but for its lock: no clock, no randomness but the seed's.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use oslo_messaging::{Address, Message};

use super::{Fault, Rule};

/// The faults to come.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Whether there are any; spares the lock where nothing is to go wrong.
    armed: AtomicBool,
    met: AtomicU64,
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    rules: Vec<Rule>,
    random: Option<Random>,
}

/// Faults by seed.
#[derive(Debug)]
struct Random {
    seed: u64,
    per_thousand: u64,
    faults: Vec<Fault>,
}

impl Script {
    pub(crate) fn add(&self, rule: Rule) {
        self.plan().rules.push(rule);
        self.armed.store(true, Ordering::Release);
    }

    pub(crate) fn randomise(&self, seed: u64, per_thousand: u16, faults: Vec<Fault>) {
        self.plan().random = Some(Random { seed, per_thousand: per_thousand.into(), faults });
        self.armed.store(true, Ordering::Release);
    }

    pub(crate) fn clear(&self) {
        *self.plan() = Plan::default();
        self.armed.store(false, Ordering::Release);
    }

    /// How many faults were met.
    pub(crate) fn met(&self) -> u64 {
        self.met.load(Ordering::Relaxed)
    }

    pub(crate) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }

    /// The fault that this publish meets, if any: of the first rule that is due, or else by chance.
    pub(crate) fn next(&self, to: &Address, message: &Message) -> Option<Fault> {
        let fault = self.plan().next(to, message)?;
        self.met.fetch_add(1, Ordering::Relaxed);
        Some(fault)
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        // A predicate of the user's may have panicked in here; the plan is whole all the same.
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    fn next(&mut self, to: &Address, message: &Message) -> Option<Fault> {
        // Every rule counts every publish it matches, also those that another rule takes.
        let mut due = None;
        for rule in &mut self.rules {
            if rule.is_due(to, message, due.is_some()) {
                due = Some(rule.fault());
            }
        }
        due.or_else(|| self.random.as_mut().and_then(Random::next))
    }
}

impl Random {
    fn next(&mut self) -> Option<Fault> {
        if self.draw() % 1000 >= self.per_thousand || self.faults.is_empty() {
            return None;
        }
        let index = usize::try_from(self.draw() % self.faults.len() as u64).expect("it is below a length");
        Some(self.faults[index])
    }

    /// `SplitMix64`.
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

    fn faults(script: &Script, publishes: usize) -> Vec<Option<Fault>> {
        let to = Address::Direct { queue: "q".into() };
        (0..publishes).map(|_| script.next(&to, &Message::new("x"))).collect()
    }

    #[test]
    fn a_rule_skips_then_strikes_and_then_is_spent() {
        let script = Script::default();
        script.add(Rule::new(Fault::Nack).after(1).times(2));
        assert_eq!(faults(&script, 4), [None, Some(Fault::Nack), Some(Fault::Nack), None]);
        assert_eq!(script.met(), 2);
    }

    #[test]
    fn a_rule_strikes_only_what_it_matches() {
        let script = Script::default();
        script.add(Rule::new(Fault::Nack).when(|to, _| matches!(to, Address::Fanout { .. })));
        assert_eq!(faults(&script, 2), [None, None]);
        let fanout = Address::Fanout { topic: "t".into() };
        assert_eq!(script.next(&fanout, &Message::new("x")), Some(Fault::Nack));
    }

    #[test]
    fn the_same_seed_brings_the_same_faults() {
        let run = |seed| {
            let script = Script::default();
            script.randomise(seed, 300, vec![Fault::Drop, Fault::Nack]);
            faults(&script, 100)
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        assert!(run(7).contains(&None) && run(7).contains(&Some(Fault::Drop)) && run(7).contains(&Some(Fault::Nack)));
    }
}
