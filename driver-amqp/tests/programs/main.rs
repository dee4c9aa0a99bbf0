//! Generated programs on a RabbitMQ node, which `OSLO_TEST_RABBIT_URL` names: played by this library, by the reference
//! implementation in Python, whose interpreter `OSLO_TEST_PYTHON` names, and by both together.

#[path = "../harness/mod.rs"]
mod harness;
mod python;

use std::process::ExitCode;

use harness::Rabbit;
use oslo_messaging_conformance::programs::{self, Actors, Plan};
use xtask::profile::Profile;

fn main() -> ExitCode {
    let plan = Plan::from(40).and(25, Actors::Mixed).and(10, Actors::Python);
    match Rabbit::from_environment(Profile::Oslo) {
        Ok(rabbit) => {
            let rabbit = python::Beside::new(rabbit);
            programs::main(move || rabbit.clone(), plan)
        }
        Err(reason) => programs::ignore_all(plan, &reason),
    }
}
