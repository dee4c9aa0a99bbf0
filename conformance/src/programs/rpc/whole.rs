//! Which programs mean something, and what can be taken out of one.

use std::collections::BTreeSet;

use super::program::{Program, Step};

impl Program {
    /// Whether servers start and stop in turn, once in an act.
    pub(crate) fn is_whole(&self) -> bool {
        let mut up = BTreeSet::new();
        self.acts.iter().all(|act| {
            let mut touched = BTreeSet::new();
            act.steps.iter().all(|step| match step {
                Step::Start { server } => touched.insert(*server) && up.insert(*server),
                Step::Stop { server } | Step::Hurry { server } | Step::Kill { server } => {
                    touched.insert(*server) && up.remove(server)
                }
                Step::Send { .. } | Step::Cut { .. } => true,
            })
        })
    }

    /// The program without a server that it neither starts nor stops.
    pub(crate) fn without_server(&self, gone: usize) -> Option<Self> {
        let mut program = self.clone();
        program.servers.remove(gone);
        for step in program.acts.iter_mut().flat_map(|act| &mut act.steps) {
            match step.server_mut() {
                Some(server) if *server == gone => return None,
                Some(server) if *server > gone => *server -= 1,
                _ => {}
            }
        }
        Some(program)
    }
}
