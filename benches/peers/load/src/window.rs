//! The time in which something is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::process::{cpu_seconds, machine_seconds};
use crate::{Arguments, Line, Operation, burst};

/// How long messages that were sent may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(120);

/// The clocks at the start of a measurement.
pub(crate) struct Window {
    started: Instant,
    machine: f64,
    /// The name of the figure, the process, and its CPU time at the start.
    processes: Vec<(&'static str, u32, f64)>,
}

impl Window {
    pub(crate) fn open(arguments: &Arguments) -> Self {
        let own = ("process_cpu_seconds", std::process::id());
        let broker = arguments.broker_process().map(|id| ("broker_cpu_seconds", id));
        let server = arguments.server_process().map(|id| ("server_cpu_seconds", id));
        let processes = [Some(own), broker, server].into_iter().flatten();
        Self {
            machine: machine_seconds(),
            processes: processes.map(|(name, id)| (name, id, cpu_seconds(id))).collect(),
            started: Instant::now(),
        }
    }

    /// Adds what the clocks say by now.
    pub(crate) fn close(self, line: Line, operations: u64) -> Line {
        let seconds = self.started.elapsed().as_secs_f64();
        let mut line = line.with("operations", operations).with("seconds", seconds);
        line = line.with("per_second", operations as f64 / seconds);
        for (name, process, before) in self.processes {
            line = line.with(name, cpu_seconds(process) - before);
        }
        line.with("machine_cpu_seconds", machine_seconds() - self.machine)
    }
}

/// Counts messages that arrive.
#[derive(Debug, Clone, Default)]
pub struct Arrivals {
    count: Arc<AtomicU64>,
    /// Woken when the count reaches the threshold.
    reached: Arc<Notify>,
    threshold: Arc<AtomicU64>,
}

impl Arrivals {
    /// Counts one.
    pub fn note(&self) {
        let count = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        if count == self.threshold.load(Ordering::SeqCst) {
            self.reached.notify_one();
        }
    }

    /// How many arrived.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Waits until `count` have arrived.
    ///
    /// # Panics
    /// If they do not within two minutes.
    pub async fn wait(&self, count: u64) {
        self.threshold.store(count, Ordering::SeqCst);
        let all = async {
            // A wake-up of an earlier threshold may be left.
            while self.count() < count {
                self.reached.notified().await;
            }
        };
        let waited = tokio::time::timeout(ARRIVAL, all).await;
        assert!(waited.is_ok(), "{} of {count} messages arrived within {ARRIVAL:?}", self.count());
    }
}

/// Sends `--operations` messages and measures until every copy has arrived, `copies` of each.
pub async fn consumed(
    program: &str,
    arguments: &Arguments,
    arrivals: &Arrivals,
    copies: u64,
    operation: impl Operation,
) -> Line {
    let operations = arguments.operations();
    let warm = operations / 10;
    burst(arguments.in_flight(), warm, operation.clone()).await;
    arrivals.wait(warm * copies).await;
    let window = Window::open(arguments);
    let errors = burst(arguments.in_flight(), operations, operation).await;
    arrivals.wait((warm + operations) * copies).await;
    window.close(Line::new(program, arguments), operations).with("errors", errors)
}
