//! What a notification listener promises, on the in-memory broker under virtual time.
#![allow(clippy::unwrap_used, reason = "a failed step fails its test")]

mod batch;
mod dead;
#[path = "../common/explosive.rs"]
#[allow(unreachable_pub, reason = "each test binary has its own copy")]
mod explosive;
mod fixture;
mod handling;
#[path = "../common/late.rs"]
mod late;
mod lifecycle;
mod limit;
mod moving;
mod panics;
mod pool;
mod retry;
mod strict;
