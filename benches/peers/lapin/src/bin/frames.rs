//! `frames WORK`: lapin alone, with the frames that this library puts on the wire. Its cost is what the guarantees cost;
//! what this library takes beyond it is its own.

use std::process::ExitCode;

use peer_lapin::guarantees::Guarantees;
use peer_lapin::work;

fn main() -> ExitCode {
    load::run(async |arguments| work::run("frames", Guarantees::ALL, &arguments).await)
}
