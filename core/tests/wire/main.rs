//! The wire format against messages that the reference really published, against itself, and against rubbish.

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

mod corpus;
mod expected;
mod robustness;
mod roundtrip;
mod vectors;
