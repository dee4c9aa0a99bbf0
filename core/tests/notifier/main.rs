//! What a notifier sends, where to, and what it does when that fails.

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

mod background;
mod configured;
#[cfg(feature = "log-layer")]
mod log_layer;
mod losses;
mod messaging;
mod redaction;
mod routing;
mod sinks;
mod spy;
mod trouble;
mod vectors;
