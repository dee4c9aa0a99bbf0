//! `ruststream call`: requests and replies of ruststream, on RabbitMQ or without `--broker` on its broker in memory.

mod call;
mod memory;
mod rabbit;
mod text;

use std::process::ExitCode;

use load::{Arguments, Line};

/// The name in the line of results.
const PROGRAM: &str = "ruststream";

fn main() -> ExitCode {
    load::run(work)
}

async fn work(arguments: Arguments) -> Line {
    match (arguments.work(), arguments.text("broker", "").is_empty()) {
        ("call", true) => memory::calls(&arguments).await,
        ("call", false) => rabbit::calls(&arguments).await,
        (other, _) => panic!("there is no work {other:?}"),
    }
}
