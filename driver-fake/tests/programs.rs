//! Generated programs on the in-memory broker, under virtual time.

mod harness;

use std::process::ExitCode;

use harness::Fake;

fn main() -> ExitCode {
    oslo_messaging_conformance::programs::main(Fake::default, 2_000)
}
