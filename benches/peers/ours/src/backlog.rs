//! A queue that is full when its server starts.

use load::{Arguments, Arrivals, Line, burst, cpu_seconds};
use tokio::time::Instant;

use crate::PROGRAM;
use crate::bus::{connect, server, soon};
use crate::cast::Cast;
use crate::echo::Echo;

/// Casts `--operations` times without a server, then starts one and measures until it has run them all.
pub async fn run(arguments: &Arguments) -> Line {
    let bus = connect(arguments).await;
    let total = arguments.operations();
    let echo = Echo::default();
    // Its queue stays.
    let first = server(&bus, arguments, "s", &echo).await;
    first.shutdown(soon()).await.expect("the server stops");
    let filling = Instant::now();
    let errors = burst(arguments.in_flight(), total, Cast::new(&bus, arguments)).await;
    let filled = filling.elapsed().as_secs_f64();

    let before = cpu_seconds(std::process::id());
    let started = Instant::now();
    let _second = server(&bus, arguments, "s", &echo).await;
    let halves = halves(&echo.arrivals, total, started).await;
    let drained = started.elapsed().as_secs_f64();
    Line::new(PROGRAM, arguments)
        .with("operations", total)
        .with("errors", errors)
        .with("filled_per_second", total as f64 / filled)
        .with("per_second", total as f64 / drained)
        .with("process_cpu_seconds", cpu_seconds(std::process::id()) - before)
        // The rate of the second half to that of the first: 1 where it does not depend on what is left.
        .with("second_half_ratio", halves / (drained - halves).max(f64::EPSILON))
}

/// Waits for all messages; returns the seconds until half of them had arrived.
async fn halves(arrivals: &Arrivals, total: u64, started: Instant) -> f64 {
    arrivals.wait(total / 2).await;
    let half = started.elapsed().as_secs_f64();
    arrivals.wait(total).await;
    half
}
