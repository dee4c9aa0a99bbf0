//! Casting: which implementation plays each listener and each notifier.

use super::program::{Listener, Program, Reads, Step};
use crate::programs::Actors;

/// The first bit for notifiers, so that one more listener does not change them.
const NOTIFIERS: u32 = 32;

/// As many as by default. A listener with fewer tries becomes a foreign one that drops.
const USUAL_TRIES: u32 = 5;

impl Program {
    /// The program with its listeners and notifiers assigned to implementations, as `actors` and `seed` determine. It
    /// asks foreign actors for nothing that they cannot do.
    pub(crate) fn cast_by(mut self, actors: Actors, seed: u64) -> Self {
        let (listeners, notifiers) = (self.listeners.len(), self.notifiers());
        let mut foreign = actors.choose(seed, 0, listeners);
        foreign.extend(actors.choose(seed, NOTIFIERS, notifiers));
        let limited = self.limit.is_some();
        let can = |place: usize| self.listeners.get(place).is_none_or(|listener| can_be_foreign(listener, limited));
        let able: Vec<usize> = (0..foreign.len()).filter(|place| can(*place)).collect();
        if actors == Actors::Mixed && able.len() > 1 && able.iter().all(|one| foreign[*one] == foreign[able[0]]) {
            foreign[able[0]] = !foreign[able[0]];
        }
        let is_foreign = |place: &usize| foreign[*place] && able.contains(place);
        self.foreign_notifiers = (0..notifiers).filter(|notifier| is_foreign(&(listeners + notifier))).collect();
        for place in 0..listeners {
            self.listeners[place].foreign = is_foreign(&place);
        }
        self.listeners.iter_mut().filter(|listener| listener.foreign).for_each(as_foreign);
        for step in self.acts.iter_mut().flat_map(|act| &mut act.steps) {
            match step {
                // The reference declares the queue of every event that it publishes.
                Step::Send { sender: notifier, message: event } if self.foreign_notifiers.contains(notifier) => {
                    event.without_queue = false;
                }
                _ => {}
            }
        }
        self
    }

    /// The program without foreign actors, otherwise unchanged.
    pub(crate) fn ours(&self) -> Self {
        let mut ours = self.clone();
        ours.listeners.iter_mut().for_each(|listener| listener.foreign = false);
        ours.foreign_notifiers.clear();
        ours
    }

    /// The programs with one foreign actor less. Shrinking with them shows which actors a failure needs.
    pub(crate) fn less_foreign(&self) -> Vec<Self> {
        let foreign = (0..self.listeners.len()).filter(|listener| self.listeners[*listener].foreign);
        let listeners = foreign.map(|listener| {
            let mut program = self.clone();
            program.listeners[listener].foreign = false;
            program
        });
        let notifiers = self.foreign_notifiers.iter().map(|notifier| {
            let mut program = self.clone();
            program.foreign_notifiers.remove(notifier);
            program
        });
        listeners.chain(notifiers).collect()
    }
}

/// The reference has no taps and does not read delivery counts.
fn can_be_foreign(listener: &Listener, limited: bool) -> bool {
    listener.reads != Reads::Private && !limited
}

/// A listener of the reference tries an event once and drops it, or requeues it for ever. Fewer
/// tries than by default make it one that drops.
fn as_foreign(listener: &mut Listener) {
    if listener.drops || listener.tries < USUAL_TRIES {
        (listener.drops, listener.tries) = (true, 1);
    }
}

#[cfg(test)]
mod tests {
    use oslo_messaging::Priority::Info;

    use super::*;
    use crate::Disturbance;
    use crate::programs::notify::{Act, Event};

    fn program() -> Program {
        let act =
            Act::new().start(0).send(0, Event::new("x", "t", Info)).send(1, Event::new("x", "t", Info).without_queue());
        let listener = |topic| Listener::new("x", topic, Info);
        Program::new().listener(listener("t")).listener(listener("u").tap()).listener(listener("t").tries(2)).act(act)
    }

    fn foreign(program: &Program) -> usize {
        program.listeners.iter().filter(|listener| listener.foreign).count() + program.foreign_notifiers.len()
    }

    #[test]
    fn a_mixed_program_has_actors_of_both_kinds() {
        for seed in 0..200 {
            let cast = program().cast_by(Actors::Mixed, seed);
            assert!((1..4).contains(&foreign(&cast)), "{cast}");
            assert_eq!(cast, program().cast_by(Actors::Mixed, seed));
        }
    }

    #[test]
    fn one_kind_of_actors_is_cast_throughout_as_far_as_it_can_do_that() {
        assert_eq!(program().cast_by(Actors::Rust, 7), program());
        let all = program().cast_by(Actors::Python, 7);
        assert_eq!((foreign(&all), all.listeners[1].foreign), (4, false));
        let limited = program().limited_by(Disturbance::Limit).cast_by(Actors::Python, 7);
        assert_eq!(foreign(&limited), 2);
    }

    #[test]
    fn what_a_foreign_actor_cannot_do_is_not_asked_of_it() {
        let all = program().cast_by(Actors::Python, 7);
        assert!(!all.to_string().contains("without_queue"), "{all}");
        let manner = |listener: &Listener| (listener.drops, listener.tries);
        assert_eq!(all.listeners.iter().map(manner).collect::<Vec<_>>(), [(false, 5), (false, 5), (true, 1)]);
    }

    #[test]
    fn a_program_shrinks_to_one_with_a_foreign_actor_less() {
        let less = program().cast_by(Actors::Python, 7).less_foreign();
        assert_eq!(less.len(), 4);
        assert!(less.iter().all(|program| foreign(program) == 3));
    }
}
