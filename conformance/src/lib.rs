//! The conformance suite that every oslo-messaging driver runs.
//!
//! It depends on `oslo-messaging` alone and on no driver. The author of a driver implements
//! [`Harness`] and writes a test with `harness = false`:
//!
//! ```no_run
//! use std::{process::ExitCode, sync::Arc};
//!
//! use oslo_messaging::driver::Transport;
//! use oslo_messaging::Result;
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
//! Each [`Case`] is a trial and cites the sentence of the contract that it checks. A case that requires a
//! capability which the driver does not declare is ignored with that reason; another case then expects that the
//! driver refuses the behaviour. The planned cases are compared with the pinned list, so that no case stops running
//! unnoticed. Cases that cut connections, block publishers, limit deliveries or restart the bus run where the
//! harness supports it ([`Harness::disturbances`]).
//!
//! Cases are examples. [`programs`] are generated, and their histories must satisfy rules. [`report`] turns the results
//! into a page. [`Flaw`] lists defects that the suite must catch, which [`programs::prove`] checks.

mod arguments;
mod case;
mod cases;
mod console;
mod expected;
mod failed;
mod flawed;
mod foreign;
mod harness;
pub mod programs;
mod reading;
mod recorder;
pub mod report;
mod runner;
mod stage;
mod tally;

pub use async_trait::async_trait;

pub(crate) use case::Outcome;
pub(crate) use reading::Reading;
pub(crate) use recorder::Recorder;
pub(crate) use stage::Stage;

pub use arguments::Arguments;
pub use case::Case;
pub use cases::all as cases;
pub use failed::Failed;
pub use flawed::{Flaw, Flawed};
pub use harness::{Budget, Clock, DELIVERY_LIMIT, Disturbance, Harness};
pub use runner::{Report, ignore_all, main, perform, run};

/// The code of the README, which is compiled, and run where it needs no broker, with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
