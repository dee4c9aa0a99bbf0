//! A case is data.

use std::future::Future;
use std::pin::Pin;

use libtest_mimic::Failed;
use oslo_messaging::{Capabilities, Capability};

use crate::{Disturbance, Stage};

/// How a case ended. An assertion that does not hold may also panic.
pub(crate) type Outcome = Result<(), Failed>;

/// What the body of a case returns.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One sentence of the contract, and the program that checks it.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// `area::sentence`. It never changes, since the pinned lists name it.
    pub id: &'static str,
    /// What the driver must declare for the case to apply.
    pub requires: &'static [Capability],
    /// What the driver must not declare: the case checks that it is refused.
    pub lacks: Option<Capability>,
    /// What the case does to the bus.
    pub disturbs: Option<Disturbance>,
    /// The sentence that is checked and where it stands.
    pub cites: &'static str,
    /// The program.
    pub(crate) run: for<'a> fn(&'a Stage) -> BoxFuture<'a, Outcome>,
}

impl Case {
    /// Whether the case says anything of a driver that declares `capabilities`. Only a refusal of what is declared
    /// says nothing.
    pub(crate) fn applies(&self, capabilities: &Capabilities) -> bool {
        self.lacks.is_none_or(|capability| !capabilities.has(capability))
    }

    /// Why a driver that declares `capabilities` need not pass the case on a bus to which `possible` can be done, if so.
    pub(crate) fn excused(&self, capabilities: &Capabilities, possible: &[Disturbance]) -> Option<String> {
        if let Some(missing) = self.requires.iter().find(|capability| !capabilities.has(**capability)) {
            return Some(format!("the driver lacks {missing:?}"));
        }
        let impossible = self.disturbs.filter(|disturbance| !possible.contains(disturbance))?;
        Some(format!("the harness cannot {impossible}"))
    }
}

/// Every case, in the order in which they are listed.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    crate::cases::ALL.iter().copied().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_case_has_an_id_of_its_own_and_cites_its_source() {
        let mut ids = BTreeSet::new();
        for case in cases() {
            assert!(ids.insert(case.id), "{} is there twice", case.id);
            assert!(case.id.split_once("::").is_some(), "{}", case.id);
            assert!(case.cites.contains(": "), "{} cites no source", case.id);
        }
    }

    fn case(requires: &'static [Capability], lacks: Option<Capability>) -> Case {
        Case { id: "a::b", requires, lacks, disturbs: None, cites: "", run: |_| Box::pin(async { Ok(()) }) }
    }

    #[test]
    fn a_driver_is_excused_by_what_it_lacks() {
        let (fanout, requeue) = (Capabilities::from_iter([Capability::Fanout]), Capabilities::default());
        let case = case(&[Capability::Fanout], None);
        assert_eq!(case.excused(&fanout, &[]), None);
        assert_eq!(case.excused(&requeue, &[]).unwrap(), "the driver lacks Fanout");
        assert!(case.applies(&requeue));
    }

    #[test]
    fn a_harness_is_excused_from_what_it_cannot_do_to_its_bus() {
        let case = Case { disturbs: Some(Disturbance::Restart), ..case(&[], None) };
        let none = Capabilities::default();
        assert_eq!(case.excused(&none, &[Disturbance::Cut]).unwrap(), "the harness cannot restart its bus");
        assert_eq!(case.excused(&none, &[Disturbance::Restart]), None);
    }

    #[test]
    fn a_refusal_applies_only_to_a_driver_that_lacks_the_behaviour() {
        let case = case(&[], Some(Capability::Fanout));
        assert!(case.applies(&Capabilities::default()));
        assert!(!case.applies(&Capabilities::from_iter([Capability::Fanout])));
    }
}
