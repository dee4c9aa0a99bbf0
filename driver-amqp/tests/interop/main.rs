//! Rust and Python on one broker: what either sends, the other must understand.
//!
//! Needs a RabbitMQ node and an interpreter with the reference implementation; `cargo xtask test` provides both. Without
//! them every test is skipped and says why, or fails where `CI` is `true` or `OSLO_TEST_REQUIRE_LIVE` is `1`.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; without a harness clippy knows none of this as tests"
)]

mod broker;
mod budget;
mod command;
mod compression;
mod configuration;
mod context;
mod delivery;
mod duplicates;
mod ear;
mod encoding;
mod errors;
mod exotic;
mod monitor;
mod notify_from_python;
mod notify_shared;
mod notify_to_python;
mod peer;
mod profile;
mod python_server;
mod rust_server;
mod sample;
mod service;
mod setting;
mod smoke;
mod topology;
mod undeliverable;
mod values;
mod versions;

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::Runtime;

use setting::Setting;

/// No test may take longer, however loaded the machine is: each has shorter budgets of its own, which together are less.
const WHOLE_TEST: Duration = Duration::from_secs(600);

/// What a test does; it fails by panicking.
type Body = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One test: what must hold, as a sentence, and how that is tried.
struct Test {
    name: &'static str,
    body: fn(Arc<Setting>) -> Body,
}

impl Test {
    /// Without the name of the binary, which is the same for all.
    fn name(&self) -> &'static str {
        self.name.trim_start_matches("interop::")
    }
}

/// The test that a function of this file is, named after both.
macro_rules! test {
    ($function:ident) => {
        $crate::Test {
            name: concat!(module_path!(), "::", stringify!($function)),
            body: |setting| Box::pin($function(setting)),
        }
    };
}
pub(crate) use test;

/// All tests, by the file they are in.
fn tests() -> impl Iterator<Item = &'static Test> {
    let files = [
        smoke::TESTS,
        values::TESTS,
        exotic::TESTS,
        versions::TESTS,
        errors::TESTS,
        service::TESTS,
        context::TESTS,
        delivery::TESTS,
        duplicates::TESTS,
        undeliverable::TESTS,
        monitor::TESTS,
        compression::TESTS,
        configuration::TESTS,
        profile::TESTS,
        topology::TESTS,
        encoding::TESTS,
        notify_from_python::TESTS,
        notify_to_python::TESTS,
        notify_shared::TESTS,
        broker::TESTS,
    ];
    files.into_iter().flatten()
}

/// How many tests run at once: most of them wait for a peer most of the time.
const BESIDE: usize = 4;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(BESIDE);
    let runtime = Arc::new(Runtime::new().expect("a runtime needs no more than threads"));
    let setting = Setting::from_env().map(Arc::new);
    let trials = tests().map(|test| match &setting {
        Ok(setting) => trial(test, Arc::clone(setting), Arc::clone(&runtime)),
        Err(missing) => skipped(test, missing.clone()),
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if let Ok(setting) = setting {
        runtime.block_on(setting.close());
    }
    conclusion.exit_code()
}

/// The tests with options by which Python declares transient queues.
const TRANSIENT: [&str; 5] = [
    "profile::both_sides_agree_on_durable_queues",
    "profile::both_sides_agree_on_quorum_queues_with_limits",
    "profile::both_sides_meet_inside_of_tls",
    "topology::rust_joins_what_python_has_declared",
    "topology::python_joins_what_rust_has_declared",
];

/// The tests of what happens where transient queues are denied.
const DENIED: [&str; 1] = ["profile::ours_without_options_meets_python_where_transient_queues_are_denied"];

fn trial(test: &'static Test, setting: Arc<Setting>, runtime: Arc<Runtime>) -> Trial {
    Trial::ignorable_test(test.name(), move || {
        if setting.denies_transient() && TRANSIENT.contains(&test.name()) {
            return Ok(Completion::ignored_with(
                "the broker denies the queues that Python declares with these options",
            ));
        }
        if !setting.denies_transient() && DENIED.contains(&test.name()) {
            return Ok(Completion::ignored_with("the broker denies no queues"));
        }
        // A task of its own, so that a panic is this test's failure and its message is reported.
        let task = runtime.spawn(async move { tokio::time::timeout(WHOLE_TEST, (test.body)(setting)).await });
        match runtime.block_on(task) {
            Ok(Ok(())) => Ok(Completion::Completed),
            Ok(Err(_)) => Err(Failed::from(format!("not done within {WHOLE_TEST:?}"))),
            Err(ended) => Err(Failed::from(ended.to_string())),
        }
    })
}

fn skipped(test: &'static Test, missing: String) -> Trial {
    Trial::ignorable_test(test.name(), move || testkit::case::skipped(&missing))
}
