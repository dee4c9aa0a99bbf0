//! Running the programs, and what they measured.

mod conformance;
mod counted;
pub(crate) mod line;
mod peers;
mod progress;
pub(crate) mod samples;
mod server;
pub(crate) mod session;
