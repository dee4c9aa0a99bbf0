//! Which programs can be played, and how they shrink.

use super::ledger::Phase;
use super::program::{Program, Reader, Step};
use super::publish::To;

impl Step {
    /// Whether the step is possible in the `phases` of the readers. Updates them if so.
    /// Closing a transport shuts all of its readers and is always possible.
    pub(crate) fn may(&self, readers: &[Reader], phases: &mut [Phase]) -> bool {
        if let Self::HangUp { transport } = self {
            let of_it = phases.iter_mut().zip(readers).filter(|(_, reader)| reader.transport == *transport);
            of_it.for_each(|(phase, _)| *phase = Phase::Shut);
        }
        let Some((reader, from, to)) = self.of_reader() else { return true };
        let may = from.contains(&phases[reader]);
        if may {
            phases[reader] = to.unwrap_or(phases[reader]);
        }
        may
    }

    /// The reader of the step, the phases it may be in, and its phase afterwards.
    /// `None` for a step that concerns no single reader. No phase afterwards means that the phase stays.
    fn of_reader(&self) -> Option<(usize, &'static [Phase], Option<Phase>)> {
        match self {
            Self::Open { reader } => Some((*reader, &[Phase::Shut], Some(Phase::Open))),
            Self::Stop { reader } => Some((*reader, &[Phase::Open], Some(Phase::Stopped))),
            Self::Close { reader } | Self::Forget { reader } => {
                Some((*reader, &[Phase::Open, Phase::Stopped], Some(Phase::Shut)))
            }
            Self::Poll { reader, .. } | Self::Glance { reader, .. } => {
                Some((*reader, &[Phase::Open, Phase::Stopped], None))
            }
            Self::Publish { .. } | Self::Settle { .. } | Self::HangUp { .. } | Self::Cut | Self::Wait => None,
        }
    }
}

impl Program {
    /// Whether only open readers are polled, stopped and closed, and only closed ones opened.
    /// Shrinking uses it to discard programs that lost a step which others need.
    pub(crate) fn is_whole(&self) -> bool {
        let mut phases = vec![Phase::Shut; self.readers.len()];
        self.steps.iter().all(|step| step.may(&self.readers, &mut phases))
    }

    /// The program without a reader; `None` if a step refers to it.
    /// Each reader after it gets the next lower index, and so do the steps that name it.
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
                Step::HangUp { .. } | Step::Cut | Step::Wait => continue,
            };
            if *reader == gone {
                return None;
            }
            *reader -= usize::from(*reader > gone);
        }
        Some(program)
    }
}
