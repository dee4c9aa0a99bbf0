//! Which programs mean something, and what can be taken out of one.

use super::ledger::Phase;
use super::program::{Program, Step};
use super::publish::To;

impl Step {
    /// The reader of the step, in which phases it may be, and in which it is afterwards.
    pub(crate) fn of_reader(&self) -> Option<(usize, &'static [Phase], Option<Phase>)> {
        match self {
            Self::Open { reader } => Some((*reader, &[Phase::Shut], Some(Phase::Open))),
            Self::Stop { reader } => Some((*reader, &[Phase::Open], Some(Phase::Stopped))),
            Self::Close { reader } | Self::Forget { reader } => {
                Some((*reader, &[Phase::Open, Phase::Stopped], Some(Phase::Shut)))
            }
            Self::Poll { reader, .. } | Self::Glance { reader, .. } => {
                Some((*reader, &[Phase::Open, Phase::Stopped], None))
            }
            Self::Publish { .. } | Self::Settle { .. } | Self::Wait => None,
        }
    }
}

impl Program {
    /// Whether nobody polls, stops or closes what is not open, or opens what is.
    pub(crate) fn is_whole(&self) -> bool {
        let mut phases = vec![Phase::Shut; self.readers.len()];
        self.steps.iter().filter_map(Step::of_reader).all(|(reader, from, to)| {
            let may = from.contains(&phases[reader]);
            phases[reader] = to.unwrap_or(phases[reader]);
            may
        })
    }

    /// The program without a reader that none of its steps means.
    pub(crate) fn without_reader(&self, gone: usize) -> Option<Self> {
        let mut program = self.clone();
        program.readers.remove(gone);
        for step in &mut program.steps {
            let reader = match step {
                Step::Publish { publish, .. } => match &mut publish.to {
                    To::Inbox { reader } => reader,
                    _ => continue,
                },
                Step::Open { reader }
                | Step::Stop { reader }
                | Step::Close { reader }
                | Step::Forget { reader }
                | Step::Poll { reader, .. }
                | Step::Glance { reader, .. }
                | Step::Settle { reader, .. } => reader,
                Step::Wait => continue,
            };
            if *reader == gone {
                return None;
            }
            *reader -= usize::from(*reader > gone);
        }
        Some(program)
    }
}
