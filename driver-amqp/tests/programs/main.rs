//! Generated programs on a RabbitMQ node, which `OSLO_TEST_RABBIT_URL` names.

#[path = "../harness/mod.rs"]
mod harness;

use std::process::ExitCode;

use harness::Rabbit;
use oslo_messaging_amqp::AmqpConfig;
use oslo_messaging_conformance::programs;

fn main() -> ExitCode {
    match Rabbit::from_environment(AmqpConfig::default()) {
        Ok(rabbit) => programs::main(move || rabbit.clone(), 40),
        Err(reason) => programs::ignore_all(&reason),
    }
}
