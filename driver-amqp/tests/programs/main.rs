//! Generated programs on a RabbitMQ node, which `OSLO_TEST_RABBIT_URL` names: played by this library, whose connections are
//! lost now and then, by the reference implementation in Python, whose interpreter `OSLO_TEST_PYTHON` names, and by both together.

mod stand;

use std::process::ExitCode;

use oslo_messaging_conformance::programs::{self, Actors, Plan};
use testkit::harness::Rabbit;
use xtask::profile::Profile;

use stand::Stand;

fn main() -> ExitCode {
    let plan = Plan::from(40).and(25, Actors::Mixed).and(10, Actors::Python);
    match Rabbit::from_environment(Profile::Oslo) {
        Ok(rabbit) => {
            let stand = Stand::new(rabbit);
            programs::main(move || stand.afresh(), plan)
        }
        Err(reason) => programs::ignore_all(plan, &reason),
    }
}
