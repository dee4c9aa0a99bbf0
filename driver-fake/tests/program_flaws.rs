//! The rules of the programs under test: every flaw that a rule must catch is caught by it.

mod harness;

use harness::Fake;
use oslo_messaging_conformance::Flaw;
use oslo_messaging_conformance::programs::{Options, caught_by, hunt};

#[test]
fn every_flaw_breaks_the_rule_that_must_catch_it() {
    let options = Options::new(300);
    let survivors: Vec<_> = Flaw::ALL
        .iter()
        .filter(|flaw| {
            let rule = caught_by(**flaw);
            let begun = std::time::Instant::now();
            let programs = hunt(Fake::default, **flaw, &options);
            eprintln!("{flaw:?}: {rule} after {programs:?} programs, {:?}", begun.elapsed());
            programs.is_none()
        })
        .collect();
    assert!(survivors.is_empty(), "from seed {} nobody caught {survivors:?}", options.seed);
}
