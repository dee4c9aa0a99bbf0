//! Generated programs on a RabbitMQ node, which `OSLO_TEST_RABBIT_URL` names, and on the in-memory broker: what a program
//! determines is the same on both, so that what a test sees on the one holds on the other.

#[path = "../../../driver-fake/tests/harness/mod.rs"]
mod fake;

use std::process::ExitCode;

use fake::Fake;
use oslo_messaging_conformance::programs::differential;
use testkit::harness::Rabbit;
use xtask::profile::Profile;

fn main() -> ExitCode {
    match Rabbit::from_environment(Profile::Oslo) {
        Ok(rabbit) => differential::main(move || rabbit.clone(), Fake::default, 40),
        Err(reason) => differential::ignore_all(&reason),
    }
}
