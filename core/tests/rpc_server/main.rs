//! What a server does on the fake broker: lifecycle, settlement, permits, layers, and what it refuses.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod clocks;
#[path = "../common/mod.rs"]
mod common;
mod configured;
mod handover;
mod intake;
mod last_delivery;
mod layers;
mod lifecycle;
mod looks;
mod monitoring;
mod panics;
mod serializer;
mod settling;
mod stopping;
mod support;
