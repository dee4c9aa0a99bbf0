//! What becomes of each kind of frame.
//!
//! The expected results are those of lapin's own parser, so a repair counts only if lapin can read it.

mod repairs;
mod splits;
mod streams;

use amq_protocol::frame::{AMQPFrame, parse_frame};

use super::parse::violation::Violation;
use super::reader::FrameReader;
use super::report::Report;

/// What comes of `frames` when they are read at once. One call of the reader, so nothing is torn.
/// The violation comes with the bytes in front of it.
fn read(frames: &[Vec<u8>]) -> (Vec<u8>, Vec<Report>, Option<Violation>) {
    let mut bytes = frames.concat();
    let mut reader = FrameReader::default();
    let work = reader.work(&mut bytes);
    bytes.truncate(work.output);
    let reports = reader.reports().collect();
    (bytes, reports, reader.violation().cloned())
}

/// As [`read`], for frames without a violation. Panics if the reader finds one.
fn read_well(frames: &[Vec<u8>]) -> (Vec<u8>, Vec<Report>) {
    let (output, reports, violation) = read(frames);
    assert_eq!(violation, None);
    (output, reports)
}

/// What lapin parses from `bytes`. Panics if it could not parse a frame.
fn parse(mut bytes: &[u8]) -> Vec<AMQPFrame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (rest, frame) = parse_frame(bytes).expect("lapin can parse it");
        frames.push(frame);
        bytes = rest;
    }
    frames
}
