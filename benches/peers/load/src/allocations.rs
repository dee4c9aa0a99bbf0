//! Counts of what was allocated, where the feature `count` is on.

use crate::Line;

#[cfg(feature = "count")]
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

/// What this process has allocated so far.
#[derive(Debug, Clone, Copy)]
pub struct Allocations {
    /// Allocations, and growths of one.
    pub number: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The bytes that were not freed.
    pub live: i64,
}

impl Allocations {
    /// The counts of now; `None` if nothing counts.
    #[cfg(feature = "count")]
    pub fn now() -> Option<Self> {
        let stats = ALLOCATOR.stats();
        let signed = |bytes: usize| i64::try_from(bytes).expect("memory is smaller than that");
        Some(Self {
            number: (stats.allocations + stats.reallocations) as u64,
            bytes: stats.bytes_allocated as u64,
            live: signed(stats.bytes_allocated) - signed(stats.bytes_deallocated),
        })
    }

    /// The counts of now; `None` if nothing counts.
    #[cfg(not(feature = "count"))]
    pub fn now() -> Option<Self> {
        None
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self { number: self.number - before.number, bytes: self.bytes - before.bytes, live: self.live - before.live }
    }

    pub(crate) fn report(self, line: Line, operations: u64) -> Line {
        let each = |count: f64| count / operations as f64;
        line.with("allocations", each(self.number as f64))
            .with("allocated_bytes", each(self.bytes as f64))
            .with("live_bytes", each(self.live as f64))
    }
}
