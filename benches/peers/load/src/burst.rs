//! A load of so many operations.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::window::Window;
use crate::{Allocations, Arguments, Line, Operation};

/// Operations before the counting starts: caches are filled and queues declared by then.
const WARM: u64 = 500;

/// Does `total` operations, `in_flight` at a time, and returns how many failed.
pub async fn burst(in_flight: usize, total: u64, operation: impl Operation) -> u64 {
    let (left, errors) = (Arc::new(AtomicU64::new(total)), Arc::new(AtomicU64::new(0)));
    let tasks = (0..in_flight).map(|_| {
        let (left, errors, operation) = (Arc::clone(&left), Arc::clone(&errors), operation.clone());
        tokio::spawn(async move {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                if !operation.run().await {
                    errors.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("an operation does not panic");
    }
    errors.load(Ordering::Relaxed)
}

/// Does `--operations` operations and reports the allocations of each. Another program counts instructions or system calls:
/// the difference of two runs with different numbers of operations is free of what a start costs.
pub async fn counted(program: &str, arguments: &Arguments, operation: impl Operation) -> Line {
    burst(arguments.in_flight(), WARM, operation.clone()).await;
    let (window, before) = (Window::open(arguments), Allocations::now());
    let errors = burst(arguments.in_flight(), arguments.operations(), operation).await;
    let after = Allocations::now();
    let line = window.close(Line::new(program, arguments), arguments.operations()).with("errors", errors);
    match (before, after) {
        (Some(before), Some(after)) => after.since(before).report(line, arguments.operations()),
        _ => line,
    }
}
