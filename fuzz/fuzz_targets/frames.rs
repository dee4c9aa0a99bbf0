#![no_main]

#[path = "../../driver-amqp/src/frames/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the reader has no other users here")]
mod frames;

libfuzzer_sys::fuzz_target!(|input: &[u8]| frames::check::check(input));
