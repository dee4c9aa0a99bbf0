//! `careless WORK`: lapin alone without acknowledgements and confirms, and with requests and replies that may vanish.

use std::process::ExitCode;

use peer_lapin::guarantees::Guarantees;
use peer_lapin::work;

fn main() -> ExitCode {
    load::run(async |arguments| work::run("careless", Guarantees::NONE, &arguments).await)
}
