//! The conformance suite on the driver of `own_driver.rs`, under virtual time.

mod own_hub;

use std::process::ExitCode;

use own_hub::OwnHub;

fn main() -> ExitCode {
    oslo_messaging_conformance::main(OwnHub::default, include_str!("expected/own_driver.txt"))
}
