//! Which programs mean something, and what can be taken out of one.

use std::collections::BTreeSet;

use super::program::{Program, Step};

impl Program {
    /// Whether listeners start and stop in turn, once in an act.
    pub(crate) fn is_whole(&self) -> bool {
        let mut up = BTreeSet::new();
        self.acts.iter().all(|act| {
            let mut touched = BTreeSet::new();
            act.steps.iter().all(|step| match step {
                Step::Start { listener } => touched.insert(*listener) && up.insert(*listener),
                Step::Stop { listener } | Step::Kill { listener } => touched.insert(*listener) && up.remove(listener),
                Step::Tell { .. } | Step::Cut { .. } => true,
            })
        })
    }

    /// Programs with a part less, the larger parts first.
    pub(crate) fn with_less(&self) -> Vec<Self> {
        let changed = |change: &dyn Fn(&mut Self)| {
            let mut program = self.clone();
            change(&mut program);
            program
        };
        let mut less: Vec<Self> = (0..self.listeners.len()).map(|gone| self.without_listener(gone)).collect();
        less.extend((0..self.acts.len()).map(|act| changed(&|program| drop(program.acts.remove(act)))));
        for (act, steps) in self.acts.iter().enumerate() {
            let without = |step| changed(&|program| drop(program.acts[act].steps.remove(step)));
            less.extend((0..steps.steps.len()).map(without));
        }
        less.retain(Self::is_whole);
        less
    }

    /// The program without a listener, and without what is done to it.
    fn without_listener(&self, gone: usize) -> Self {
        let mut program = self.clone();
        program.listeners.remove(gone);
        for act in &mut program.acts {
            act.steps.retain(|step| step.listener() != Some(gone));
            for step in &mut act.steps {
                match step {
                    Step::Start { listener } | Step::Stop { listener } | Step::Kill { listener }
                        if *listener > gone =>
                    {
                        *listener -= 1;
                    }
                    _ => {}
                }
            }
        }
        program
    }
}
