//! The conformance suite on the in-memory broker, under virtual time.

mod harness;

use std::process::ExitCode;

use harness::Fake;

fn main() -> ExitCode {
    oslo_messaging_conformance::main(Fake::default, include_str!("expected/fake.txt"))
}
