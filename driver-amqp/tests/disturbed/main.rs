//! The cases of the conformance suite that cut connections, block publishers and restart the bus, on a node of their own:
//! with durable queues and with quorum queues, or in the profiles that `OSLO_TEST_PROFILES` names.

use std::collections::BTreeSet;
use std::env;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use libtest_mimic::Trial;
use oslo_messaging_conformance::{Arguments, cases, run};
use xtask::broker::{Node, RABBIT_URL};
use xtask::profile::Profile;

use testkit::case::{must_run, skipped};
use testkit::harness::disturbed::Disturbed;

/// The cases that disturb the bus: one that is missing fails the run.
const PINNED: &str = include_str!("expected.txt");
const AREA: &str = "disturb::";

fn main() -> ExitCode {
    // All cases share the node.
    let arguments = Arguments::from_args().or_filter(AREA).one_at_a_time();
    if env::var_os(RABBIT_URL).is_none() {
        return ignored(&arguments);
    }
    if arguments.lists() {
        // What there is to run needs no node.
        let trials = disturbing().map(|id| Trial::test(id, || Err("it is only listed".into())));
        return libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials.collect()).exit_code();
    }
    let pinned: Vec<&str> = PINNED.lines().collect();
    let mut code = ExitCode::SUCCESS;
    if !disturbing().eq(pinned.iter().copied()) {
        eprintln!("pinned are {pinned:#?}, and there are {:#?}", disturbing().collect::<Vec<_>>());
        code = ExitCode::FAILURE;
    }
    let node = Arc::new(Mutex::new(Node::start().expect("a node")));
    let all = arguments.filter() == Some(AREA);
    for profile in Profile::from_env(&[Profile::Durable, Profile::Quorum]).expect("profiles") {
        let node = Arc::clone(&node);
        let report = run(move || Disturbed::new(profile, Arc::clone(&node)), "", &arguments);
        let report = report.expect("the node is there");
        let passed = report.passed;
        if !report.conforms() || (all && passed != pinned.len() as u64) {
            eprintln!("{profile}: {passed} of {} cases passed", pinned.len());
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// The ids of the cases of the area, sorted.
fn disturbing() -> impl Iterator<Item = &'static str> {
    let ids: BTreeSet<&str> = cases().map(|case| case.id).filter(|id| id.starts_with(AREA)).collect();
    ids.into_iter()
}

/// One trial that says what is missing; where nothing may be skipped, it fails.
fn ignored(arguments: &Arguments) -> ExitCode {
    let trial = Trial::ignorable_test(format!("{AREA}all"), || {
        skipped(&format!("{RABBIT_URL} is not set: run `cargo xtask test`"))
    });
    let trial = trial.with_ignored_flag(must_run().is_none() && arguments.lists());
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), vec![trial]).exit_code()
}
