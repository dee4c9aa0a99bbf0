//! A service as a trait, from its client to its implementation, on the in-memory broker.

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

mod compute;
mod contract;
mod endpoint;
mod errors;
mod fleet;
mod versions;
