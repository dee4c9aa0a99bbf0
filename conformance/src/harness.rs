//! What the author of a driver writes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use oslo_messaging::{Result, Transport};
use serde::{Deserialize, Serialize};

use crate::programs::Foreign;
use crate::report::driver_of_this_test;

/// How the suite reaches one driver. A fresh one is made for each case.
#[async_trait]
pub trait Harness: Send + Sync + 'static {
    /// Opens a new connection. All connections of one harness are to the same bus; harnesses may share a bus, as every
    /// case uses names of its own.
    ///
    /// # Errors
    /// Whatever the driver says; it fails the case.
    async fn transport(&self) -> Result<Arc<dyn Transport>>;

    /// How long to wait on this bus.
    fn budget(&self) -> Budget;

    /// The clock the cases run by. Default: the real one.
    fn clock(&self) -> Clock {
        Clock::Real
    }

    /// Actors of another implementation on the same bus, for generated programs; or why there are none. They are asked
    /// only by programs that are told to have them, and need [`Clock::Real`]. Default: there are none.
    ///
    /// # Errors
    /// The reason, which is shown where such programs are left out.
    fn foreign(&self) -> std::result::Result<Foreign, String> {
        Err("this harness has no foreign actors".to_owned())
    }

    /// What can be done to this bus. Cases that need more are ignored, and the reason says so. Default: nothing.
    fn disturbances(&self) -> &'static [Disturbance] {
        &[]
    }

    /// Does to the bus one of its [`disturbances`](Self::disturbances); returns when it is done.
    ///
    /// # Errors
    /// It cannot be done, which fails the case.
    async fn disturb(&self, what: Disturbance) -> std::result::Result<(), String> {
        Err(format!("this harness cannot {what}"))
    }

    /// Ends what lasts, and does nothing where nothing does. Every case ends with it.
    ///
    /// # Errors
    /// It cannot be ended, which fails the case.
    async fn calm(&self) -> std::result::Result<(), String> {
        Ok(())
    }

    /// What a report calls the driver. Default: the package whose test it is.
    fn driver(&self) -> String {
        driver_of_this_test()
    }

    /// What the bus still holds after a case closed everything, one line each; any line fails the case. Default: none,
    /// for a bus that cannot tell.
    async fn leftovers(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What can happen to a bus under those who use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Disturbance {
    /// Every connection of the harness is lost; the bus is there all the while.
    Cut,
    /// The bus takes nothing from publishers, until it is [calm](Harness::calm).
    Block,
    /// The bus ends and starts again. What it promised to keep is there; every connection is lost. What it did not promise
    /// to keep (the queues and messages of a broker that are not durable) may be gone, so no case asks for that. On a bus
    /// that keeps everything, as one that lives in the process does, it is no more than a [`Cut`](Self::Cut).
    Restart,
    /// Each queue that readers share drops a message when more than [`DELIVERY_LIMIT`] deliveries of it have failed, until the
    /// bus is [calm](Harness::calm). Each message that comes back has failed, and says how often. Queues of dead letters
    /// have no limit.
    Limit,
    /// As [`Limit`](Self::Limit), but only what its reader left behind when it was lost has failed, and not what a reader
    /// gave back.
    LimitFailures,
}

/// How many failed deliveries of a message a queue allows where deliveries are limited.
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

/// The two directions of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// For what must arrive. The wait ends when it does, so this can be generous. Default: 10 s.
    pub arrive: Duration,
    /// For silence that must hold. This always costs its whole length, so it is short. Default: 300 ms.
    pub quiet: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { arrive: Duration::from_secs(10), quiet: Duration::from_millis(300) }
    }
}

/// Which clock a case runs by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The machine's. For a bus outside of the process.
    Real,
    /// Tokio's, paused: it jumps to the next timer when every task waits. For a bus that lives in the process.
    Paused,
}
