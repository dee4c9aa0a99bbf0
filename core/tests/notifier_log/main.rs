//! What a notifier writes to the log.
//!
//! A program of its own, each of whose tests begins with [`capture`](log::capture): whether a line is wanted is
//! remembered for a whole process, whichever thread asks first.

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

mod fallback;
mod hostile;
mod log;
mod losses;
mod sink;
#[path = "../notifier/spy.rs"]
#[allow(dead_code, reason = "only a part of it is used here")]
mod spy;
