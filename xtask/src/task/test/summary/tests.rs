use super::*;

const START: &str = "     Running tests/interop/main.rs (target/debug/deps/interop-0)";

fn summary(lines: &[&str]) -> Summary {
    let mut summary = Summary::new(vec![live("amqp test interop")]);
    for line in lines {
        summary.read(line);
    }
    summary
}

fn live(name: &str) -> Suite {
    let (executable, directory) = ("/w/target/debug/deps/interop-0".into(), "/w/amqp".into());
    Suite { name: name.into(), executable, directory, live: true }
}

fn result(passed: u64, failed: u64, ignored: u64) -> String {
    let word = if failed == 0 { "ok" } else { "FAILED" };
    format!(
        "test result: {word}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; 0 filtered out; finished in 0.00s"
    )
}

#[test]
fn a_live_suite_that_ran_is_in_order() {
    let summary = summary(&[START, "running 2 tests", &result(2, 0, 0)]);
    assert_eq!(summary.objections(true), Vec::<String>::new());
    assert_eq!(summary.total().to_string(), "2 passed, 0 failed, 0 skipped");
}

#[test]
fn a_live_suite_that_ran_nothing_is_objected_to() {
    let summary = summary(&[START, "running 2 tests", &result(0, 0, 2)]);
    assert_eq!(summary.objections(true), ["amqp test interop is live, but ran no test"]);
    assert!(summary.objections(false).is_empty());
}

#[test]
fn a_live_test_skipped_for_want_of_a_broker_is_objected_to() {
    let skipped = "test rpc::a_call ... ignored (OSLO_TEST_RABBIT_URL is not set)";
    let summary = summary(&[START, skipped, &result(5, 0, 1)]);
    assert_eq!(summary.objections(true), ["amqp test interop skipped 1 for want of a broker"]);
}

#[test]
fn a_case_that_the_driver_does_not_support_may_be_skipped() {
    let skipped = "test queue::priorities ... ignored (the driver lacks Priorities)";
    assert!(summary(&[START, skipped, &result(5, 0, 1)]).objections(true).is_empty());
}

#[test]
fn a_suite_that_never_ran_is_objected_to() {
    assert_eq!(summary(&[]).objections(true), ["amqp test interop never ran", "no live suite ran"]);
}

#[test]
fn a_suite_that_died_is_a_failure() {
    let summary = summary(&[START, "running 2 tests"]);
    assert_eq!(summary.objections(false), ["amqp test interop did not finish"]);
    assert_eq!(summary.total(), Counts { passed: 0, failed: 1, skipped: 0 });
}

#[test]
fn the_groups_of_documentation_tests_are_added_up() {
    let summary = summary(&["   Doc-tests oslo_messaging", &result(3, 0, 0), &result(1, 1, 1)]);
    assert_eq!(summary.total(), Counts { passed: 4, failed: 1, skipped: 1 });
    assert_eq!(summary.lines(), ["oslo_messaging documentation: 4 passed, 1 failed, 1 skipped"]);
}

#[test]
fn a_test_that_prints_like_cargo_is_not_taken_for_it() {
    let summary = summary(&[START, "Running away (from it all)", &result(1, 0, 0)]);
    assert_eq!(summary.lines(), ["amqp test interop: 1 passed, 0 failed, 0 skipped"]);
}

#[test]
fn a_suite_that_runs_again_elsewhere_is_judged_by_itself() {
    let mut summary = summary(&[START, &result(2, 0, 0)]);
    summary.enter(live("amqp test interop on RabbitMQ 4.3"));
    assert_eq!(summary.objections(true), ["amqp test interop on RabbitMQ 4.3 did not finish"]);
    summary.read(&result(3, 0, 0));
    assert!(summary.objections(true).is_empty());
    assert_eq!(summary.total().to_string(), "5 passed, 0 failed, 0 skipped");
}
