//! What lapin's own parser says of a stream, and what has to come of it.
//!
//! Where the original frame is valid and within the limit, it must pass unchanged.
//! Otherwise the output must be a valid frame of the same type and channel,
//! with the same body size. Returned messages must be missing.

use amq_protocol::frame::{AMQPFrame, parse_frame};
use amq_protocol::protocol::{AMQPClass, connection};

use crate::frames::parse::fields::DEPTH;

/// Checks that `output` is what has to come of `stream`, and that lapin can take it.
/// `violation` is why the stream was ended, if it was.
///
/// Panics at the first difference.
pub(crate) fn compare(stream: &[u8], output: &[u8], violation: Option<&str>) {
    let parsed = parse_all(output);
    let mut output = output;
    let mut returning = Vec::new();
    let mut limit = 131_072;
    let mut expected = stream;
    for frame in &parsed {
        let came = take(&mut output);
        loop {
            let Some(bytes) = whole(expected) else { panic!("{frame:?} came of nothing") };
            expected = &expected[bytes.len()..];
            if is_returned(bytes, &mut returning) {
                continue;
            }
            // What may be nested too deeply is not shown to a parser that calls itself.
            // lapin's parser recurses for each level.
            let original = if may_be_deep(bytes) { None } else { parse_frame(bytes).ok().map(|(_, frame)| frame) };
            if let Some(AMQPFrame::Method(_, AMQPClass::Connection(connection::AMQPMethod::Tune(tune)))) = &original
                && tune.frame_max > 0
            {
                limit = limit.min(tune.frame_max as usize);
            }
            match &original {
                Some(_) if bytes.len() <= limit => assert!(came == bytes, "{came:?} is not {bytes:?}"),
                _ => assert_alike(came, bytes, limit),
            }
            break;
        }
    }
    assert!(parse_frame(output).is_err_and(|error| error.is_incomplete()) || output.is_empty());
    if violation.is_none() {
        // Nothing is left but returned messages, and what is torn.
        while let Some(bytes) = whole(expected) {
            expected = &expected[bytes.len()..];
            assert!(is_returned(bytes, &mut returning), "a frame was swallowed: {bytes:?}");
        }
    }
}

/// Every whole frame in `output`, as lapin parses it. The end may be torn.
/// Panics at the first frame that lapin cannot parse: such a frame would end a connection.
fn parse_all(mut output: &[u8]) -> Vec<AMQPFrame> {
    let mut frames = Vec::new();
    loop {
        match parse_frame(output) {
            Ok((rest, frame)) => {
                frames.push(frame);
                output = rest;
            }
            Err(error) => {
                assert!(error.is_incomplete(), "lapin cannot parse {output:?}");
                return frames;
            }
        }
    }
}

/// Panics unless a repaired frame has what must not change.
/// A repaired method keeps its length, because every repair in place does. A content header may be shorter.
fn assert_alike(came: &[u8], original: &[u8], limit: usize) {
    assert_eq!(came[..3], original[..3], "type and channel");
    assert!(came.len() <= limit);
    match came[0] {
        2 => assert_eq!(came[7..19], original[7..19], "class, weight and the size of the body"),
        _ => assert_eq!(came.len(), original.len()),
    }
}

/// The frame that `bytes` begin with, if it is whole.
/// A protocol header, which begins with `A`, has 8 bytes and no length.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let length = match bytes {
        [b'A', ..] => 8,
        [_, _, _, a, b, c, d, ..] => usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok()?.checked_add(8)?,
        _ => return None,
    };
    bytes.get(..length)
}

/// The frame that `output` begins with, which lapin has parsed. Advances `output` behind it.
fn take<'a>(output: &mut &'a [u8]) -> &'a [u8] {
    let frame = whole(output).expect("it was parsed");
    *output = &output[frame.len()..];
    frame
}

/// Whether a frame is a part of a returned message; `returning` are the channels on which content is due, and how much.
///
/// `None` means that the content header is still to come; a number is the rest of the body in bytes.
/// The function keeps `returning` up to date, so it must see every frame once and in order.
fn is_returned(frame: &[u8], returning: &mut Vec<(u16, Option<u64>)>) -> bool {
    let channel = u16::from_be_bytes([frame[1], frame[2]]);
    let at = returning.iter().position(|(on, _)| *on == channel);
    match (frame[0], at) {
        (1, None) if frame[7..].starts_with(&[0, 60, 0, 50]) => returning.push((channel, None)),
        (2, Some(at)) if returning[at].1.is_none() => {
            let size = frame[11..19].first_chunk().map_or(0, |size| u64::from_be_bytes(*size));
            returning[at].1 = Some(size);
            returning.retain(|(_, left)| *left != Some(0));
        }
        (3, Some(at)) => {
            let left = returning[at].1.expect("a body follows a content header");
            returning[at].1 = Some(left - (frame.len() as u64 - 8));
            returning.retain(|(_, left)| *left != Some(0));
        }
        _ => return false,
    }
    true
}

/// Whether something may be nested beyond [`DEPTH`]: each level has a byte that says so.
/// It may say so of a frame that is flat. That frame is then compared less strictly, which is not a false alarm.
fn may_be_deep(frame: &[u8]) -> bool {
    frame.iter().filter(|byte| matches!(byte, b'A' | b'F')).count() >= DEPTH
}
