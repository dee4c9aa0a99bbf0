//! The conformance suite where every queue is a quorum queue.

#[path = "../harness/mod.rs"]
mod harness;

use std::process::ExitCode;

use harness::Rabbit;
use oslo_messaging_amqp::AmqpConfig;
use oslo_messaging_conformance::{ignore_all, main as conform};

fn main() -> ExitCode {
    match Rabbit::from_environment(AmqpConfig::quorum()) {
        Ok(rabbit) => conform(move || rabbit.clone(), include_str!("expected.txt")),
        Err(reason) => ignore_all(&reason),
    }
}
