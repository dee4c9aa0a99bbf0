//! What a server does on the fake broker: lifecycle, settlement, permits, layers, and what it refuses.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

#[path = "../common/mod.rs"]
mod common;
mod handover;
mod intake;
mod layers;
mod lifecycle;
mod monitoring;
mod serializer;
mod settling;
mod stopping;
mod support;
