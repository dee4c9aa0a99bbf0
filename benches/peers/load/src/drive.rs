//! A load that lasts for a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::latencies::Latencies;
use crate::window::Window;
use crate::{Arguments, Line, Operation};

/// Keeps `--in-flight` operations going, and measures those that end within the window.
pub async fn drive(program: &str, arguments: &Arguments, operation: impl Operation) -> Line {
    let phase = Arc::new(Phase::default());
    let loops = (0..arguments.in_flight()).map(|_| tokio::spawn(repeat(Arc::clone(&phase), operation.clone())));
    let loops: Vec<_> = loops.collect();
    tokio::time::sleep(arguments.warm_up()).await;
    let window = Window::open(arguments);
    phase.measuring.store(true, Ordering::Relaxed);
    tokio::time::sleep(arguments.measured()).await;
    phase.measuring.store(false, Ordering::Relaxed);
    let operations = phase.ended.load(Ordering::Relaxed);
    let line = window.close(Line::new(program, arguments), operations);
    phase.over.store(true, Ordering::Relaxed);
    let mut latencies = Latencies::default();
    for task in loops {
        latencies.add(task.await.expect("an operation does not panic"));
    }
    debug_assert!(latencies.count() >= operations);
    latencies.report(line).with("errors", phase.errors.load(Ordering::Relaxed))
}

#[derive(Default)]
struct Phase {
    measuring: AtomicBool,
    over: AtomicBool,
    ended: AtomicU64,
    errors: AtomicU64,
}

async fn repeat(phase: Arc<Phase>, operation: impl Operation) -> Latencies {
    let mut latencies = Latencies::default();
    while !phase.over.load(Ordering::Relaxed) {
        let started = Instant::now();
        let succeeded = operation.run().await;
        if phase.measuring.load(Ordering::Relaxed) {
            latencies.note(started.elapsed());
            phase.ended.fetch_add(1, Ordering::Relaxed);
        }
        if !succeeded {
            phase.errors.fetch_add(1, Ordering::Relaxed);
        }
    }
    latencies
}
