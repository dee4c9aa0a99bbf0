//! The conformance suite on a RabbitMQ node, which `OSLO_TEST_RABBIT_URL` names: with the options that are usual, then with
//! quorum queues, or in the profiles that `OSLO_TEST_PROFILES` names.

use std::process::ExitCode;

use oslo_messaging_conformance::{Arguments, ignore_all, run};
use testkit::harness::Rabbit;
use xtask::profile::Profile;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut conforms = true;
    for profile in Profile::from_env(&[Profile::Oslo, Profile::Quorum]).expect("profiles") {
        let rabbit = match Rabbit::from_environment(profile) {
            Ok(rabbit) => rabbit,
            Err(reason) => return ignore_all(&reason),
        };
        let report = run(move || rabbit.clone(), include_str!("expected.txt"), &arguments).expect("a connection");
        conforms &= report.conforms();
    }
    if conforms { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
