//! The conformance suite under test: every flaw that is put into the driver is caught by the case it names.

mod harness;

use harness::Fake;
use oslo_messaging_conformance::{Flaw, Flawed, cases, perform};

#[test]
fn every_flaw_is_caught_by_the_case_it_names() {
    let survivors: Vec<_> = Flaw::ALL
        .iter()
        .filter(|flaw| {
            let case = cases().find(|case| case.id == flaw.caught_by()).expect("the suite checks that it exists");
            perform(case, Flawed::new(Fake::default(), **flaw)).is_ok()
        })
        .collect();
    assert!(survivors.is_empty(), "nobody caught {survivors:?}");
}
