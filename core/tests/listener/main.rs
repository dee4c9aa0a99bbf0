//! What a notification listener promises, on the in-memory broker under virtual time.
#![allow(clippy::unwrap_used, reason = "a failed step fails its test")]

mod batch;
mod dead;
mod fixture;
mod handling;
#[path = "../common/late.rs"]
mod late;
mod lifecycle;
mod limit;
mod moving;
mod pool;
mod retry;
mod strict;
