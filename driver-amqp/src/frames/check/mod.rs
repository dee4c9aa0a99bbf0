//! What must hold of the reader for every stream, however it is split: run by the tests beside it and by a fuzz target.
//!
//! Each input is entropy. It chooses frames of several channels, interleaves and mutates them,
//! and then chooses how the bytes arrive and how much room each read has.
//!
//! The checks: the output, the reports and the end do not depend on the split;
//! a read is pending only if nothing can be returned; and the output agrees with lapin's own parser in `oracle`.

pub(crate) mod build;
mod oracle;

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};

use crate::frames::parse::head::HEARTBEAT;
use crate::frames::reader::FrameReader;
use crate::frames::{Framed, Notices};
use build::*;

/// Choices, until there are none left; then zeros.
/// A fuzzer mutates the bytes, and proptest shrinks them; both then change single choices.
pub(crate) struct Entropy<'a>(&'a [u8]);

/// Makes a stream and its damage from `input`, and runs every check on it.
///
/// Each stream is read whole and twice in random pieces, and the results are compared.
///
/// Panics if one of them does not hold.
pub(crate) fn check(input: &[u8]) {
    let mut entropy = Entropy(input);
    let frames = frames(&mut entropy);
    let stream = mutated(frames.concat(), &mut entropy);
    let (whole, notices) = read(&stream, &mut || (usize::MAX, usize::MAX));
    // Pieces of similar sizes in the first round, and large pieces into a tiny buffer in the second.
    for round in 0..2 {
        let (split, split_notices) = read(&stream, &mut || match round {
            0 => (1 + entropy.below(40), 1 + entropy.below(40)),
            _ => (1 + entropy.below(3_000), 1 + entropy.below(3)),
        });
        assert_eq!(without_heartbeats(&split.0), without_heartbeats(&whole.0), "the output depends on the split");
        assert_eq!(split.1, whole.1, "the end depends on the split");
        assert_eq!(split_notices.snapshot(), notices.snapshot(), "the reports depend on the split");
    }
    oracle::compare(&without_heartbeats(&stream), &without_heartbeats(&whole.0), whole.1.as_deref());
}

impl Entropy<'_> {
    /// 0 once the input is used up, so that each input, however short, describes a complete run.
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// From two bytes of the input, so `limit` must not exceed 65,536. Panics at 0.
    fn below(&mut self, limit: usize) -> usize {
        (usize::from(self.byte()) << 8 | usize::from(self.byte())) % limit
    }

    /// True for one of `times` values, on average.
    fn one_in(&mut self, times: usize) -> bool {
        // Without entropy nothing special happens.
        self.below(times) == times - 1
    }

    /// From none to `most` bytes, each of them arbitrary.
    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let count = self.below(most + 1);
        (0..count).map(|_| self.byte()).collect()
    }

    /// Mostly plain text; sometimes Latin-1, arbitrary bytes or UTF-8 with a letter outside of ASCII.
    fn text(&mut self) -> Vec<u8> {
        match self.below(8) {
            5 => b"caf\xe9".to_vec(),
            6 => self.bytes(12),
            7 => "caf\u{e9}".into(),
            _ => b"text".to_vec(),
        }
    }

    /// A typed value of a header table. Some are deeper than the reader allows,
    /// some have an unknown type, and some are long enough to exceed a frame limit of 8,192 bytes.
    fn value(&mut self) -> Vec<u8> {
        match self.below(12) {
            0..4 => text(&self.text()),
            4 => [b"l", &[0; 8][..]].concat(),
            5 => [b"t", &[1][..]].concat(),
            6 => b"V".to_vec(),
            7 => nested(self.below(80), self.one_in(2)),
            8 => [b"F", &table(&[(&self.text(), text(&self.text()))])[..]].concat(),
            9 => [&[self.byte()], &self.bytes(9)[..]].concat(),
            10 => text(&vec![b'x'; self.below(9_000)]),
            _ => [b"x", &long(&self.bytes(9))[..]].concat(),
        }
    }

    /// A header table. Its names include those that trimming removes first and those that it never removes.
    fn entries(&mut self) -> Vec<u8> {
        const NAMES: [&[u8]; 5] = [b"x-death", b"compression", b"oslo.dead.reason", b"x-delivery-count", b"mine"];
        let count = self.below(4);
        let entries: Vec<(Vec<u8>, Vec<u8>)> = (0..count)
            .map(|_| {
                let name = self.below(8);
                (NAMES.get(name).map_or_else(|| self.text(), |name| name.to_vec()), self.value())
            })
            .collect();
        table(&entries.iter().map(|(name, value)| (&name[..], value.clone())).collect::<Vec<_>>())
    }
}

/// Frames of some channels, each message whole on its channel and interleaved with the others.
/// Three times of four they begin with connection.start and connection.tune, with frame limits of 0, 8,192 and 131,072.
fn frames(entropy: &mut Entropy<'_>) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    if !entropy.one_in(4) {
        frames.push(start(&[(b"version", text(&entropy.text())), (b"n", entropy.value())]));
        frames.push(tune([0, 8_192, 8_192, 131_072][entropy.below(4)]));
    }
    let mut channels: Vec<VecDeque<Vec<u8>>> = Vec::new();
    for number in 0..=entropy.below(3) {
        let channel = u16::try_from(number).expect("it is small") + 1;
        let count = entropy.below(4);
        channels.push((0..count).flat_map(|tag| conversation(channel, tag as u64, entropy)).collect());
    }
    while channels.iter().any(|channel| !channel.is_empty()) {
        let index = entropy.below(channels.len());
        channels.rotate_left(index);
        frames.extend(channels.iter_mut().find_map(VecDeque::pop_front));
    }
    frames
}

/// A delivery, a returned message, a confirm, a heartbeat, channel.open-ok,
/// or a method with arbitrary ids and fields. A body is split into two frames.
///
/// `tag` must be new on the channel.
fn conversation(channel: u16, tag: u64, entropy: &mut Entropy<'_>) -> Vec<Vec<u8>> {
    match entropy.below(10) {
        0..4 => {
            let content = entropy.bytes(30);
            let flags = 1 << 13 | if entropy.one_in(3) { 1 << 15 | 1 << 7 } else { 0 };
            let entries = entropy.entries();
            let (kind, id) = (short(&entropy.text()), short(&entropy.text()));
            let properties: &[&[u8]] = if flags == 1 << 13 { &[&entries] } else { &[&kind, &entries, &id] };
            let mut frames = vec![deliver(channel, tag), header(channel, content.len() as u64, flags, properties)];
            let (first, second) = content.split_at(content.len() / 2);
            frames.extend([first, second].iter().filter(|part| !part.is_empty()).map(|part| body(channel, part)));
            frames
        }
        4 | 5 => returned(channel, &entropy.text(), &entropy.bytes(40)),
        6 => vec![ack(channel, tag)],
        7 => vec![HEARTBEAT.to_vec()],
        8 => vec![method(channel, (20, 11), &[&long(&entropy.bytes(5))])],
        _ => {
            let ids = ([10, 20, 40, 50, 60, 85, 90][entropy.below(7)], 10 * u16::from(entropy.byte() % 13));
            vec![method(channel, ids, &[&entropy.bytes(12)])]
        }
    }
}

/// `stream`, half of the time with damage.
///
/// The damage is up to three changes: a byte replaced, a bit flipped, bytes removed or inserted, or the end cut off.
fn mutated(mut stream: Vec<u8>, entropy: &mut Entropy<'_>) -> Vec<u8> {
    let count = if entropy.one_in(2) { 1 + entropy.below(3) } else { 0 };
    for _ in 0..count {
        if stream.is_empty() {
            break;
        }
        let at = entropy.below(65_536) % stream.len();
        match entropy.below(6) {
            0 => stream[at] = entropy.byte(),
            1 => stream[at] ^= 1 << entropy.below(8),
            2 => drop(stream.remove(at)),
            3 => stream.insert(at, entropy.byte()),
            4 => stream.truncate(at),
            _ => drop(stream.splice(at..at, entropy.bytes(20))),
        }
    }
    stream
}

/// A stream that returns as many bytes as the test allows, and is pending in between.
struct Pieces<'a> {
    /// What the reader under test has not read yet. Empty means the end of the stream.
    rest: &'a [u8],
    /// How many bytes the next reads may have. At 0 a read is pending, and the test sets the next piece then.
    piece: usize,
}

impl AsyncRead for Pieces<'_> {
    /// It never wakes the task: the caller polls again by itself.
    fn poll_read(mut self: Pin<&mut Self>, _context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = self.piece.min(self.rest.len()).min(into.remaining());
        if count == 0 && !self.rest.is_empty() {
            return Poll::Pending;
        }
        let (piece, rest) = self.rest.split_at(count);
        into.put_slice(piece);
        self.rest = rest;
        self.piece -= count;
        Poll::Ready(Ok(()))
    }
}

/// What comes out of `stream` before its end, why it ended if not of itself, and what was reported.
/// `choose` says how much comes and how much room there is.
///
/// The reads alternate with a second reader, which gets the same bytes without a stream.
/// Both must have released the same amount whenever the stream is pending.
///
/// Panics if the two disagree, or the reader reports an end before that of the stream.
fn read(stream: &[u8], choose: &mut dyn FnMut() -> (usize, usize)) -> ((Vec<u8>, Option<String>), Arc<Notices>) {
    let notices = Arc::<Notices>::default();
    let mut framed = Framed::new(Pieces { rest: stream, piece: 0 }, Arc::clone(&notices));
    let (mut output, mut judge, mut judged, mut pauses) = (Vec::new(), Judge::default(), 0, 0_usize);
    let mut buffer = vec![0; stream.len() + HEARTBEAT.len()];
    let context = &mut Context::from_waker(Waker::noop());
    loop {
        let (piece, room) = choose();
        let waiting = stream.len() - framed.inner().rest.len();
        let room = room.min(buffer.len());
        let mut into = ReadBuf::new(&mut buffer[..room]);
        match Pin::new(&mut framed).poll_read(context, &mut into) {
            Poll::Ready(Err(error)) => return ((output, Some(error.to_string())), notices),
            Poll::Ready(Ok(())) if into.filled().is_empty() => {
                assert!(framed.inner().rest.is_empty(), "it ended before the stream did");
                return ((output, None), notices);
            }
            Poll::Ready(Ok(())) => output.extend_from_slice(into.filled()),
            Poll::Pending => {
                judge.take(&stream[judged..waiting]);
                judged = waiting;
                pauses += 1;
                // To look each time would take most of the time.
                if pauses.is_power_of_two() {
                    let (released, ready) = (without_heartbeats(&output), without_heartbeats(&judge.output));
                    assert_eq!(released.len(), ready.len(), "it waits although it has something");
                }
                framed.inner_mut().piece = piece;
            }
        }
    }
}

/// The reader under test without a stream around it.
/// It has no limit of room, so its output is what could be released at the earliest.
#[derive(Default)]
struct Judge {
    /// Gets the same bytes as the stream under test, whenever that is pending.
    reader: FrameReader,
    /// The beginning of a frame that is not complete.
    torn: Vec<u8>,
    /// Everything that could have been released so far.
    output: Vec<u8>,
}

impl Judge {
    /// Keeps the torn end in front of the next bytes, as the contract of `FrameReader::work` demands.
    fn take(&mut self, bytes: &[u8]) {
        self.torn.extend_from_slice(bytes);
        let work = self.reader.work(&mut self.torn);
        self.output.extend_from_slice(&self.torn[..work.output]);
        self.torn.drain(..self.torn.len() - work.torn);
    }
}

/// `output` without the heartbeats in it, wherever they came from.
///
/// The reader inserts heartbeats where it removed frames,
/// and where depends on the split. So comparisons leave them out.
fn without_heartbeats(output: &[u8]) -> Vec<u8> {
    let (mut rest, mut kept) = (output, Vec::new());
    while let Some((head, _)) = rest.split_first_chunk::<7>() {
        let length = match head[0] {
            b'A' => 8,
            _ => u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize + 8,
        };
        let (frame, after) = rest.split_at(length.min(rest.len()));
        if frame != HEARTBEAT {
            kept.extend_from_slice(frame);
        }
        rest = after;
    }
    kept.extend_from_slice(rest);
    kept
}
