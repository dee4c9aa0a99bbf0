//! `ours WORK`: this library as a program uses it, client and servers on one bus.
//!
//! Without `--broker` it runs on the in-memory broker, which carries the same bytes.

mod backlog;
mod bus;
mod call;
mod cast;
mod echo;
mod fanout;
mod memory;
mod notify;
mod serve;
mod sizes;
mod topics;

use std::process::ExitCode;

use load::{Arguments, Line};

/// The name in the line of results.
const PROGRAM: &str = "ours";

fn main() -> ExitCode {
    load::run(work)
}

async fn work(arguments: Arguments) -> Line {
    match arguments.work() {
        "call" => call::driven(&arguments).await,
        "count" => call::counted(&arguments).await,
        "cast" => cast::run(&arguments).await,
        "notify" => notify::run(&arguments).await,
        "fanout" => fanout::run(&arguments).await,
        "backlog" => backlog::run(&arguments).await,
        "memory" => memory::run(&arguments).await,
        "sizes" => sizes::run(&arguments).await,
        "topics" => topics::run(&arguments).await,
        "serve" => serve::run(&arguments).await,
        other => panic!("there is no work {other:?}"),
    }
}
