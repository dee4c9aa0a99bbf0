//! [`Harness`]: what the author of a driver implements.

use std::env;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use oslo_messaging::Result;
use oslo_messaging::driver::Transport;
use serde::{Deserialize, Serialize};

use crate::foreign::Foreign;

/// Connects the suite to one driver. The suite creates a new harness for each case.
#[async_trait]
pub trait Harness: Send + Sync + 'static {
    /// Opens a new connection. All connections of one harness are to the same bus. Harnesses may
    /// share a bus, because every case uses unique names.
    ///
    /// # Errors
    /// The driver's error; it fails the case.
    async fn transport(&self) -> Result<Arc<dyn Transport>>;

    /// How long to wait on this bus: for what must arrive, and for what must
    /// not. A slow bus may need more than the default.
    fn budget(&self) -> Budget;

    /// The clock that the cases run by. Default: [`Clock::Real`].
    fn clock(&self) -> Clock {
        Clock::Real
    }

    /// Actors of another implementation on the same bus, for generated programs; or why there are none. They are asked
    /// only for programs with foreign actors, and need [`Clock::Real`]. Default: there are none.
    ///
    /// # Errors
    /// The reason; programs with foreign actors are skipped with it.
    fn foreign(&self) -> std::result::Result<Foreign, String> {
        Err("this harness has no foreign actors".to_owned())
    }

    /// The disturbances that this harness can cause. Cases that need
    /// others are ignored with that reason. Default: none.
    fn disturbances(&self) -> &'static [Disturbance] {
        &[]
    }

    /// Causes one of its [`disturbances`](Self::disturbances); returns when it is in effect.
    ///
    /// # Errors
    /// The reason of a failure; it fails the case.
    async fn disturb(&self, what: Disturbance) -> std::result::Result<(), String> {
        Err(format!("this harness cannot {what}"))
    }

    /// Ends lasting disturbances. The suite calls it at the end of every case. Default: nothing.
    ///
    /// # Errors
    /// The reason of a failure; it fails the case.
    async fn calm(&self) -> std::result::Result<(), String> {
        Ok(())
    }

    /// The name of the driver in reports. Default: the package of the test.
    fn driver(&self) -> String {
        driver_of_this_test()
    }

    /// What the bus still holds after a case has closed everything, one item in a line. Any item fails the case.
    /// Default: none, for a bus that cannot be inspected.
    async fn leftovers(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What can happen to a bus while it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Disturbance {
    /// Every connection of the harness is cut; the bus keeps running.
    Cut,
    /// The bus accepts no publishes until [`Harness::calm`].
    Block,
    /// The bus restarts: every connection is lost, and what is durable survives. Other queues and
    /// messages may be lost, so no case relies on them. For a bus that keeps everything, such as an
    /// in-memory one, it is the same as [`Cut`](Self::Cut).
    Restart,
    /// Until [`Harness::calm`], each shared queue drops a message after more than [`DELIVERY_LIMIT`] failed deliveries.
    /// Every returned message counts as failed and carries the count. Dead-letter queues have no limit.
    Limit,
    /// As [`Limit`](Self::Limit), but only messages left by a lost reader count as failed; requeued ones do not.
    LimitFailures,
}

/// How many failed deliveries a queue allows each message under [`Disturbance::Limit`].
pub const DELIVERY_LIMIT: u64 = 3;

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "cut connections",
            Self::Block => "block publishers",
            Self::Restart => "restart its bus",
            Self::Limit => "limit deliveries",
            Self::LimitFailures => "limit failed deliveries",
        })
    }
}

/// How long the suite waits: for what must arrive, and to see that nothing does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How long to wait for what must arrive. The wait ends when it arrives, so this can be generous. Default: 10 s.
    pub arrive: Duration,
    /// How long nothing may arrive. This wait always takes its whole length, so it is short. Default: 300 ms.
    pub quiet: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { arrive: Duration::from_secs(10), quiet: Duration::from_millis(300) }
    }
}

/// The clock that a case runs by, which decides how long its waits take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The machine's clock, for a bus outside of the process.
    Real,
    /// Tokio's paused clock, which jumps to the next timer when every task waits. For a bus in the process.
    Paused,
}

/// The default name of the driver: the package whose test this process is.
pub(crate) fn driver_of_this_test() -> String {
    env::var("CARGO_PKG_NAME").unwrap_or_else(|_| {
        let program = env::current_exe().ok();
        let stem = program.as_deref().and_then(Path::file_stem).map(|stem| stem.to_string_lossy().into_owned());
        stem.unwrap_or_else(|| "a driver".to_owned())
    })
}
