//! The conformance suite that every oslo-messaging driver runs.
//!
//! It names no driver and knows nothing but `oslo-messaging`. The author of a driver writes one [`Harness`] and a test
//! without libtest's own harness:
//!
//! ```no_run
//! use std::{process::ExitCode, sync::Arc};
//!
//! use oslo_messaging::{Result, Transport};
//! use oslo_messaging_conformance::{Budget, Harness, async_trait, main as conform};
//!
//! struct MyBus;
//!
//! #[async_trait]
//! impl Harness for MyBus {
//!     async fn transport(&self) -> Result<Arc<dyn Transport>> {
//!         # unimplemented!()
//!         // connect to the bus
//!     }
//!
//!     fn budget(&self) -> Budget {
//!         Budget::default()
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     # const PINNED: &str = "";
//!     // const PINNED: &str = include_str!("expected/my-bus.txt");
//!     conform(|| MyBus, PINNED)
//! }
//! ```
//!
//! Each [`Case`] is one trial of its own and cites the sentence of the contract that it checks. One that needs what
//! the driver does not declare is ignored with that reason; in its place one runs that expects a refusal. What ran is compared with the pinned list, so that no
//! case stops running in silence. Cases that cut connections, block publishers, limit deliveries or restart the bus run where the harness can do
//! that ([`Harness::disturbances`]).
//!
//! Beside the cases, which are examples, stand [`programs`]: generated ones, whose histories must satisfy rules. What
//! ran, and how it ended, becomes a page for people: see [`report`].

mod case;
mod cases;
mod expected;
mod flawed;
mod harness;
pub mod programs;
mod reading;
mod recorder;
pub mod report;
mod runner;
mod stage;
mod tally;

pub use async_trait::async_trait;
pub use libtest_mimic::{Arguments, Failed};

pub(crate) use case::Outcome;
pub(crate) use reading::Reading;
pub(crate) use recorder::Recorder;
pub(crate) use stage::Stage;

pub use case::{Case, cases};
pub use flawed::{Flaw, Flawed};
pub use harness::{Budget, Clock, DELIVERY_LIMIT, Disturbance, Harness};
pub use runner::{Report, ignore_all, main, perform, run};
