//! The conformance suite sees what could be wrong with the driver of `own_driver.rs`.

mod own_hub;

use oslo_messaging::driver::Capability;
use oslo_messaging_conformance::{Flaw, Flawed, cases, perform};
use own_hub::OwnHub;

const PINNED: &str = include_str!("expected/own_driver.txt");

/// Flaws that are none here: a listener that is merely dropped deletes its private queue too, and a driver without pools
/// refuses them whether or not it declares them.
const HARMLESS: [Flaw; 2] = [Flaw::CloseLeavesQueue, Flaw::Undeclared(Capability::Pools)];

/// Flaws in what this driver does not do, or cannot suffer; the cases that would catch them are not run.
const FOREIGN: [Flaw; 9] = [
    Flaw::PoolIgnored,
    Flaw::PoolNotShared,
    Flaw::RedeliveredFlagLost,
    Flaw::ListenerLostByCut,
    Flaw::FanoutLostByCut,
    Flaw::MarkLostByCut,
    Flaw::SettledAfterCut,
    Flaw::NeverReadyAgain,
    Flaw::DeliveryCountLost,
];

#[test]
fn every_flaw_is_caught_by_the_case_it_names() {
    let runs = |flaw: &Flaw| PINNED.lines().any(|line| line == flaw.caught_by());
    let survives = |flaw: &Flaw| {
        let case = cases().find(|case| case.id == flaw.caught_by()).expect("the suite checks that it exists");
        perform(case, Flawed::new(OwnHub::default(), *flaw)).is_ok()
    };
    let pinned = |flaw: &Flaw| runs(flaw) || matches!(flaw, Flaw::Undeclared(_));
    let (known, foreign): (Vec<Flaw>, Vec<Flaw>) = Flaw::ALL.iter().copied().partition(pinned);
    assert_eq!(foreign, FOREIGN);
    let survivors: Vec<Flaw> = known.into_iter().filter(survives).collect();
    assert_eq!(survivors, HARMLESS, "no case caught these");
}
