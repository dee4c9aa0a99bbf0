//! Generated programs on a RabbitMQ node, which `OSLO_TEST_RABBIT_URL` names, and on the in-memory broker: what a program
//! determines is the same on both, so that what a test sees on the one holds on the other.

#[path = "../../../driver-fake/tests/harness/mod.rs"]
mod fake;
#[path = "../harness/mod.rs"]
mod harness;

use std::process::ExitCode;

use fake::Fake;
use harness::Rabbit;
use oslo_messaging_conformance::programs::differential;
use xtask::profile::Profile;

fn main() -> ExitCode {
    match Rabbit::from_environment(Profile::Oslo) {
        Ok(rabbit) => differential::main(move || rabbit.clone(), Fake::default, 40),
        Err(reason) => differential::ignore_all(&reason),
    }
}
