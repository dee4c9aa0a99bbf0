//! The conformance suite on a RabbitMQ node, which `OSLO_TEST_RABBIT_URL` names.

#[path = "../harness/mod.rs"]
mod harness;

use std::process::ExitCode;

use harness::Rabbit;
use oslo_messaging_amqp::AmqpConfig;
use oslo_messaging_conformance::{ignore_all, main as conform};

fn main() -> ExitCode {
    match Rabbit::from_environment(AmqpConfig::default()) {
        Ok(rabbit) => conform(move || rabbit.clone(), include_str!("expected.txt")),
        Err(reason) => ignore_all(&reason),
    }
}
