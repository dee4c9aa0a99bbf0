//! The frame reader: keeps track of the stream, and decides about each frame.
//!
//! The decisions are pure: no I/O and no clock.
//! The result does not depend on how the stream is split into calls of `work`.
//! Channels are followed separately, because a broker may interleave the frames of several messages.

use std::ops::Range;

use super::content::{Content, Contents};
use super::parse::fields::{Malformed, u16_at, u32_at, u64_at};
use super::parse::head::{END, HEAD, Head, Kind, OVERHEAD};
use super::parse::header::{self, Header};
use super::parse::method;
use super::parse::repairs::Repairs;
use super::parse::trim::trim;
use super::parse::violation::Violation;
use super::report::{Report, Returned};
use super::version::ServerVersion;
use super::{FRAME_MAX, FRAME_MAX_LEAST};

/// Reads the stream of one connection from its first byte.
/// It starts with the limit that the driver requests, and lowers it when connection.tune arrives.
#[derive(Debug)]
pub(crate) struct FrameReader {
    /// The agreed frame limit, in bytes. It counts the whole frame, with head and end byte.
    limit: usize,
    /// The rest of a frame that passes unread. A body or a heartbeat;
    /// the reader is inside of that frame until the end byte.
    passing: Option<Passing>,
    /// For each channel, the content whose next frame is still to come. It pairs a content header with its method.
    contents: Contents,
    /// Reports since the last [`reports`](FrameReader::reports), in the order of the stream.
    reports: Vec<Report>,
    /// Counts since the last [`repairs`](FrameReader::repairs), for the metric.
    repairs: Repairs,
    /// Set once and never cleared: the position in the stream is unknown after it. It is the error of every later read.
    violation: Option<Violation>,
}

/// A frame whose head was read and whose payload is not parsed.
#[derive(Debug)]
struct Passing {
    /// Named in the violation if the end byte is wrong.
    kind: Kind,
    /// The bytes that are still to come, with the end byte.
    left: usize,
    /// Whether the frame is removed from the stream, as a part of a returned message.
    swallow: bool,
}

/// What became of the bytes of one [`FrameReader::work`]. What is neither output nor torn was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Work {
    /// How many bytes, from the first, are for lapin.
    pub(crate) output: usize,
    /// How many bytes, up to the last, are the beginning of a frame: they must be passed again with those that follow.
    pub(crate) torn: usize,
    /// Whether bytes were removed from the stream. If nothing else came out, a heartbeat stands in for them.
    pub(crate) swallowed: bool,
}

/// What to do with a method or a content header, which was judged as a whole.
enum FrameAction {
    /// Pass so many of its bytes to lapin.
    Pass(usize),
    /// Remove it: it is a part of a returned message.
    Swallow,
}

impl Default for FrameReader {
    /// No connection.tune has arrived, so the limit is the one that the driver will request. A broker cannot raise it.
    fn default() -> Self {
        Self {
            limit: FRAME_MAX as usize,
            passing: None,
            contents: Contents::default(),
            reports: Vec::new(),
            repairs: Repairs::default(),
            violation: None,
        }
    }
}

impl FrameReader {
    /// Processes `bytes`: the torn end of the last call, and what has been read since. Works in place.
    ///
    /// The bytes for lapin move to the front of `bytes`, and the torn end stays at the back.
    /// After a violation the rest of `bytes` is neither output nor torn, so it is lost with the connection.
    pub(crate) fn work(&mut self, bytes: &mut [u8]) -> Work {
        let (mut from, mut work) = (0, Work::default());
        while from < bytes.len() && self.violation.is_none() {
            let taken = match &self.passing {
                Some(_) => self.pass(bytes, from, &mut work),
                None => self.frame(bytes, from, &mut work).unwrap_or_else(|violation| {
                    self.violation = Some(violation);
                    0
                }),
            };
            // An incomplete head, method or content header takes nothing, and so does a violation.
            if taken == 0 {
                break;
            }
            from += taken;
        }
        if self.violation.is_none() {
            work.torn = bytes.len() - from;
        }
        work
    }

    /// Why the stream has ended; after a violation no byte comes out.
    pub(crate) fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// Ends the stream for a reason that another component found.
    /// The first reason stays if the stream has ended already.
    pub(crate) fn fail(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }

    /// Takes the reports. They belong to the bytes that came out so far.
    ///
    /// The caller must publish them before lapin reads these bytes:
    /// a user that sees a confirm relies on finding the return that the broker sent before it.
    pub(crate) fn reports(&mut self) -> std::vec::Drain<'_, Report> {
        self.reports.drain(..)
    }

    /// Takes the counts of repairs since the last call.
    pub(crate) fn repairs(&mut self) -> Repairs {
        std::mem::take(&mut self.repairs)
    }

    /// Passes or removes the available bytes of a frame; returns how many.
    ///
    /// The end byte is checked when it arrives. Until then the payload
    /// is passed on, so memory does not grow with the frame.
    fn pass(&mut self, bytes: &mut [u8], from: usize, work: &mut Work) -> usize {
        let Some(passing) = &mut self.passing else { return 0 };
        // The end byte is part of what is left, so it is passed on like the payload.
        let taken = passing.left.min(bytes.len() - from);
        passing.left -= taken;
        let last = passing.left == 0;
        let sound = !last || bytes[from + taken - 1] == END;
        if passing.swallow {
            work.swallowed = true;
        } else {
            // The bytes before a wrong end byte may have been passed on already.
            output(bytes, from..from + taken - usize::from(!sound), work);
        }
        if !sound {
            self.violation = Some(Violation::FrameEnd { kind: passing.kind.name() });
        }
        if last {
            self.passing = None;
        }
        taken
    }

    /// Reads the frame at `from`; returns how many bytes it took, 0 if it is incomplete.
    ///
    /// A method or a content header must be complete,
    /// because it is repaired as a whole. Of a body only the head must be.
    ///
    /// Fails if the head is invalid or over the limit, the end byte is wrong, or the payload cannot be passed on.
    fn frame(&mut self, bytes: &mut [u8], from: usize, work: &mut Work) -> Result<usize, Violation> {
        let Some(head) = Head::read(&bytes[from..], self.limit)? else { return Ok(0) };
        match head.kind {
            Kind::Body | Kind::Heartbeat => {
                // Counted at the head: the payload may still be on its way.
                let swallow = head.kind == Kind::Body && self.is_of_return(head)?;
                if swallow {
                    work.swallowed = true;
                } else {
                    output(bytes, from..from + HEAD, work);
                }
                self.passing = Some(Passing { kind: head.kind, left: head.payload + 1, swallow });
                Ok(HEAD)
            }
            Kind::Protocol => {
                output(bytes, from..from + head.frame(), work);
                Ok(head.frame())
            }
            Kind::Method | Kind::Header => {
                let taken = head.frame();
                let Some(frame) = bytes.get_mut(from..from + taken) else { return Ok(0) };
                if frame[taken - 1] != END {
                    return Err(Violation::FrameEnd { kind: head.kind.name() });
                }
                let action = match head.kind {
                    Kind::Method => self.method(head.channel, &mut frame[HEAD..taken - 1])?,
                    _ => self.header(head.channel, frame)?,
                };
                match action {
                    FrameAction::Pass(length) => output(bytes, from..from + length, work),
                    FrameAction::Swallow => work.swallowed = true,
                }
                Ok(taken)
            }
        }
    }

    /// Repairs a method, and notes what its channel may send next. All of them pass but basic.return.
    ///
    /// A method must not come between the parts of a returned message of the same channel:
    /// AMQP 0-9-1 sends a content without interruption on its channel.
    ///
    /// Fails if the method is unknown, cannot be decoded, or came instead of the rest of a returned message.
    fn method(&mut self, channel: u16, payload: &mut [u8]) -> Result<FrameAction, Violation> {
        let ids = method::ids(payload)?;
        let mut strings = [const { 0..0 }; 4];
        method::repair(ids, payload, &mut self.repairs, &mut strings)?;
        if self.contents.is_return(channel) {
            return Err(Violation::Unexpected { channel, kind: Kind::Method.name() });
        }
        match ids {
            method::BASIC_DELIVER => {
                // The delivery tag follows the consumer tag.
                let tag = u64_at(payload, strings[0].end);
                self.contents.set(channel, Content::Delivery { tag });
            }
            method::BASIC_RETURN => {
                let text = String::from_utf8_lossy(&payload[strings[0].clone()]).into_owned();
                self.contents.set(channel, Content::Return { code: u16_at(payload, method::IDS), text });
                return Ok(FrameAction::Swallow);
            }
            method::CHANNEL_OPEN_OK => {
                // What the predecessor of this number still expected will never come.
                self.contents.remove(channel);
                self.reports.push(Report::Opened { channel });
            }
            method::CONNECTION_START => {
                let version = ServerVersion::of_properties(&payload[strings[0].clone()]);
                self.reports.extend(version.map(Report::Server));
            }
            method::CONNECTION_TUNE => self.tune(u32_at(payload, method::IDS + 2))?,
            _ => {}
        }
        Ok(FrameAction::Pass(payload.len() + OVERHEAD))
    }

    /// Applies the broker's frame limit as lapin does: 0 means none.
    ///
    /// A limit over the requested one has no effect.
    ///
    /// Fails if the limit is below 8,192 bytes, with which lapin does not work.
    fn tune(&mut self, frame_max: u32) -> Result<(), Violation> {
        match frame_max {
            0 => Ok(()),
            small if small < FRAME_MAX_LEAST => Err(Violation::FrameMax(small)),
            frame_max => {
                self.limit = self.limit.min(frame_max as usize);
                Ok(())
            }
        }
    }

    /// Repairs a content header, trims it to the frame limit, or empties it.
    ///
    /// The header always passes, at worst without properties:
    /// swallowing one would leave lapin with a body that belongs to nothing.
    /// A shorter payload gets a new length in its head and a new end byte.
    ///
    /// Fails if the payload is shorter than its fixed part,
    /// or the header came instead of the body of a returned message.
    fn header(&mut self, channel: u16, frame: &mut [u8]) -> Result<FrameAction, Violation> {
        let payload_end = frame.len() - 1;
        let payload = &mut frame[HEAD..payload_end];
        let body_size = header::body_size(payload)?;
        if self.contents.is_return(channel) {
            return self.returned(channel, payload, body_size);
        }
        // The limit is for the whole frame, with head and end byte.
        let room = self.limit - OVERHEAD;
        let (length, malformed) = match Header::repair(payload, &mut self.repairs) {
            Ok(_) if payload.len() <= room => (payload.len(), None),
            Ok(Header { headers: Some(headers), .. }) => {
                let length = trim(payload, headers, room);
                self.repairs.trimmed += 1;
                (length, (length > room).then_some(Malformed::TooLarge(length)))
            }
            Ok(_) => (payload.len(), Some(Malformed::TooLarge(payload.len()))),
            Err(malformed) => (payload.len(), Some(malformed)),
        };
        // lapin must get a content header, or the body that follows would end the connection.
        let length = if malformed.is_some() { header::empty(payload) } else { length };
        let delivery = self.contents.remove(channel);
        if let Some(malformed) = malformed {
            self.repairs.emptied += 1;
            if let Some(Content::Delivery { tag }) = delivery {
                let reason = malformed.to_string();
                self.reports.push(Report::Undecodable { channel, delivery_tag: tag, reason });
            }
        }
        // A shorter frame needs its new length in the head, and an end byte behind its new end.
        if length < payload.len() {
            frame[HEAD - 4..HEAD].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
            frame[HEAD + length] = END;
        }
        Ok(FrameAction::Pass(length + OVERHEAD))
    }

    /// Reports a returned message, whose content header has arrived, and removes the header.
    ///
    /// The report is complete with the header, so the body is only counted and removed.
    /// A message whose properties cannot be decoded is reported with an empty id;
    /// no publish has one, so the publisher ignores it with a warning.
    fn returned(&mut self, channel: u16, payload: &mut [u8], body_size: u64) -> Result<FrameAction, Violation> {
        let message_id = match Header::repair(payload, &mut self.repairs) {
            Ok(Header { message_id: Some(id), .. }) => String::from_utf8_lossy(&payload[id]).into_owned(),
            _ => String::new(),
        };
        let Some(Content::Return { code, text }) = self.contents.remove(channel) else {
            return Err(Violation::Unexpected { channel, kind: Kind::Header.name() });
        };
        self.reports.push(Report::Returned { channel, returned: Returned { message_id, code, text } });
        if body_size > 0 {
            self.contents.set(channel, Content::ReturnBody { left: body_size });
        }
        Ok(FrameAction::Swallow)
    }

    /// Whether a body frame belongs to a returned message.
    ///
    /// Subtracts its payload from what is left of that message. At 0 the channel is free for other content.
    ///
    /// Fails if a body came before the content header, or is longer than the header announced.
    fn is_of_return(&mut self, head: Head) -> Result<bool, Violation> {
        let unexpected = Violation::Unexpected { channel: head.channel, kind: head.kind.name() };
        match self.contents.get_mut(head.channel) {
            None | Some(Content::Delivery { .. }) => Ok(false),
            Some(Content::Return { .. }) => Err(unexpected),
            Some(Content::ReturnBody { left }) => {
                *left = left.checked_sub(head.payload as u64).ok_or(unexpected)?;
                if *left == 0 {
                    self.contents.remove(head.channel);
                }
                Ok(true)
            }
        }
    }
}

/// Moves `range` behind the bytes that are already for lapin.
///
/// Bytes that were removed before leave a gap, so the range
/// moves towards the front. It never overlaps what comes later.
fn output(bytes: &mut [u8], range: Range<usize>, work: &mut Work) {
    let length = range.len();
    if range.start != work.output {
        bytes.copy_within(range, work.output);
    }
    work.output += length;
}
