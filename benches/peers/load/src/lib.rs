//! What the measured programs share: arguments, load, and the line of results that each prints.
//!
//! A program is started as `PROGRAM WORK --NAME VALUE ...`, does one kind of work, prints one JSON object on a line of its
//! own, and ends. All programs apply their load with the same functions, so that a difference between two of them is one
//! between the libraries that they use.

mod allocations;
mod arguments;
mod burst;
mod drive;
mod latencies;
mod line;
mod operation;
mod process;
mod serve;
mod window;

pub use allocations::Allocations;
pub use arguments::Arguments;
pub use burst::{burst, counted};
pub use drive::drive;
pub use line::Line;
pub use operation::Operation;
pub use process::{cpu_seconds, resident_bytes};
pub use serve::until_input_ends;
pub use window::{Arrivals, consumed};

use std::process::ExitCode;

use tokio::runtime::Builder;

/// Runs a program on the runtime that `--workers` asks for: the number of threads, or 0 for the calling thread alone.
/// Default: 2.
pub fn run<Work: Future<Output = Line>>(program: impl FnOnce(Arguments) -> Work) -> ExitCode {
    let arguments = Arguments::parse(std::env::args().skip(1));
    let runtime = match arguments.number("workers", 2) {
        0 => Builder::new_current_thread().enable_all().build(),
        workers => Builder::new_multi_thread().worker_threads(workers).enable_all().build(),
    };
    let line = runtime.expect("the runtime starts").block_on(program(arguments));
    println!("{line}");
    // Connections and their threads end with the process: closing them is not measured.
    std::process::exit(0)
}
