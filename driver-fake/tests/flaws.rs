//! The suite under test: every flaw that is put into the driver fails the case and breaks the rule that must catch it.

mod harness;

use std::process::ExitCode;

use harness::Fake;

fn main() -> ExitCode {
    oslo_messaging_conformance::programs::prove(Fake::default, 4_000)
}
