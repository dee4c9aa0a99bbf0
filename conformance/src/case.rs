//! A case: one sentence of the contract as data, with the function that checks it.

use std::future::Future;
use std::pin::Pin;

use oslo_messaging::driver::{Capabilities, Capability};

use crate::{Disturbance, Failed, Stage};

/// The result of a case. A failed assertion may also panic.
/// The runner adds what the case cites to the text of a failure.
pub(crate) type Outcome = Result<(), Failed>;

/// Boxed, so that one table holds the functions of all cases.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One sentence of the contract, and the function that checks it.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// `area::sentence`. It never changes, because the pinned lists refer to it.
    pub id: &'static str,
    /// The capabilities that a driver must declare for the case to run.
    pub requires: &'static [Capability],
    /// The capability that the driver must not declare: the case checks that the driver refuses it.
    pub lacks: Option<Capability>,
    /// The disturbance that the case causes. It runs only where the harness supports it.
    pub disturbs: Option<Disturbance>,
    /// The source of the requirement and its sentence, as `source: sentence`.
    pub cites: &'static str,
    /// Runs once, on a stage that the runner closes afterwards.
    pub(crate) run: for<'a> fn(&'a Stage) -> BoxFuture<'a, Outcome>,
}

impl Case {
    /// Whether the case is meaningful for a driver that declares `capabilities`. A case that expects a refusal
    /// is not if the driver declares the capability.
    pub(crate) fn applies(&self, capabilities: &Capabilities) -> bool {
        self.lacks.is_none_or(|capability| !capabilities.has(capability))
    }

    /// Why the case does not run: the driver lacks a required capability, or
    /// the harness a disturbance. `None` if it runs.
    pub(crate) fn excused(&self, capabilities: &Capabilities, possible: &[Disturbance]) -> Option<String> {
        if let Some(missing) = self.requires.iter().find(|capability| !capabilities.has(**capability)) {
            return Some(format!("the driver lacks {missing:?}"));
        }
        let impossible = self.disturbs.filter(|disturbance| !possible.contains(disturbance))?;
        Some(format!("the harness cannot {impossible}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(requires: &'static [Capability], lacks: Option<Capability>) -> Case {
        Case { id: "a::b", requires, lacks, disturbs: None, cites: "", run: |_| Box::pin(async { Ok(()) }) }
    }

    #[test]
    fn a_driver_is_excused_by_the_capability_it_lacks() {
        let (fanout, requeue) = (Capabilities::from_iter([Capability::Fanout]), Capabilities::default());
        let case = case(&[Capability::Fanout], None);
        assert_eq!(case.excused(&fanout, &[]), None);
        assert_eq!(case.excused(&requeue, &[]).unwrap(), "the driver lacks Fanout");
        assert!(case.applies(&requeue));
    }

    #[test]
    fn a_harness_is_excused_from_disturbances_it_lacks() {
        let case = Case { disturbs: Some(Disturbance::Restart), ..case(&[], None) };
        let none = Capabilities::default();
        assert_eq!(case.excused(&none, &[Disturbance::Cut]).unwrap(), "the harness cannot restart its bus");
        assert_eq!(case.excused(&none, &[Disturbance::Restart]), None);
    }

    #[test]
    fn a_refusal_applies_only_to_a_driver_that_lacks_the_capability() {
        let case = case(&[], Some(Capability::Fanout));
        assert!(case.applies(&Capabilities::default()));
        assert!(!case.applies(&Capabilities::from_iter([Capability::Fanout])));
    }
}
