//! Every flaw that could be in the driver of `own_driver.rs` would be caught by the case it names.

mod own_hub;

use oslo_messaging_conformance::{Flaw, Flawed, cases, perform};
use own_hub::OwnHub;

/// The cases that run on this driver.
const PINNED: &str = include_str!("expected/own_driver.txt");

#[test]
fn every_flaw_is_caught_by_the_case_it_names() {
    // A driver cannot have a flaw in what it does not do: those cases are pinned as not run.
    let is_run = |flaw: &&Flaw| {
        let missing = format!("{} # not run: ", flaw.caught_by());
        !PINNED.lines().any(|line| line.starts_with(&missing))
    };
    let (possible, impossible): (Vec<&Flaw>, Vec<&Flaw>) = Flaw::ALL.iter().partition(is_run);
    assert_eq!(impossible, [&Flaw::PoolIgnored, &Flaw::RedeliveredFlagLost]);
    let survivors: Vec<_> = possible
        .into_iter()
        .filter(|flaw| {
            let case = cases().find(|case| case.id == flaw.caught_by()).expect("the suite checks that it exists");
            perform(case, Flawed::new(OwnHub::default(), **flaw)).is_ok()
        })
        .collect();
    assert!(survivors.is_empty(), "nobody caught {survivors:?}");
}
