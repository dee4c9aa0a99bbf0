//! What hostile peers can make a process spend: memory by a counting allocator, and the time of those who wait behind them.
//!
//! Memory is counted for the whole process, so one test runs at a time.

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

mod bombs;
mod memory;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oslo_messaging::Deadline;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;

/// Held by the test that runs.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `test` on one thread and a clock that goes.
fn run(test: impl Future<Output = ()>) {
    let _alone = alone();
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test);
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(120))
}
