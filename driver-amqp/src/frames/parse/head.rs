//! The head of a frame: type, channel and length.
//!
//! It is the only part that is read of every frame; bodies are not parsed any further.

use super::violation::Violation;

/// The length of a head: type, channel, length of the payload.
pub(crate) const HEAD: usize = 7;
/// The last byte of every frame.
pub(crate) const END: u8 = 0xCE;
/// The bytes of a frame besides its payload.
pub(crate) const OVERHEAD: usize = HEAD + 1;
/// The largest content header that is read before it is trimmed to the frame limit, in bytes.
/// What exceeds the limit was added by brokers, and is far smaller.
pub(crate) const CAP: usize = 1 << 20;
/// A heartbeat frame, which also stands in for frames that were removed from the stream.
pub(crate) const HEARTBEAT: [u8; OVERHEAD] = [8, 0, 0, 0, 0, 0, 0, END];
/// How a server answers if it does not speak the requested protocol; its version follows.
const OTHER_PROTOCOL: &[u8] = b"AMQP\0";
/// The length of that answer, in bytes.
const OTHER_PROTOCOL_LENGTH: usize = 8;

/// The frame types of AMQP 0-9-1, and the one answer that is no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Read whole and repaired. Some announce a content on their channel.
    Method,
    /// A content header: read whole, repaired, and trimmed if it is over the frame limit.
    Header,
    /// A part of a body. It passes unread, or is removed with a returned message.
    Body,
    /// Passes unread. It may come between any two frames.
    Heartbeat,
    /// Not a frame: the protocol that the server speaks instead.
    Protocol,
}

/// Read once its 7 bytes are there; whether the rest has arrived is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Decides whether the frame is read whole or passes by its head.
    pub(crate) kind: Kind,
    /// 0 for frames of the connection.
    pub(crate) channel: u16,
    /// In bytes, without head and end byte. 0 for a protocol header.
    pub(crate) payload: usize,
}

impl Kind {
    /// The words for it in the text of a violation.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Header => "content header",
            Self::Body => "body",
            Self::Heartbeat => "heartbeat",
            Self::Protocol => "protocol",
        }
    }
}

impl Head {
    /// The head at the start of `bytes`. `limit` is the agreed frame limit, in bytes.
    ///
    /// `None` if more bytes are needed. A content header may exceed `limit`, up to 1 MiB, because it is trimmed.
    ///
    /// Fails if the type is unknown, or the frame exceeds its limit.
    pub(crate) fn read(bytes: &[u8], limit: usize) -> Result<Option<Self>, Violation> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let kind = match first {
            1 => Kind::Method,
            2 => Kind::Header,
            3 => Kind::Body,
            8 => Kind::Heartbeat,
            b'A' => return Self::other_protocol(bytes),
            _ => return Err(Violation::FrameType(first)),
        };
        let Some(&[_, c0, c1, p0, p1, p2, p3]) = bytes.first_chunk::<HEAD>() else { return Ok(None) };
        let payload = u32::from_be_bytes([p0, p1, p2, p3]);
        let limit = if kind == Kind::Header { CAP } else { limit };
        let bytes = u64::from(payload) + OVERHEAD as u64;
        if bytes > limit as u64 {
            return Err(Violation::TooLarge { kind: kind.name(), bytes, limit });
        }
        let payload = usize::try_from(payload).unwrap_or(usize::MAX);
        Ok(Some(Self { kind, channel: u16::from_be_bytes([c0, c1]), payload }))
    }

    /// It is passed on whole, and lapin ends the handshake with it.
    ///
    /// Fails if the bytes begin with `A` and are no protocol header.
    fn other_protocol(bytes: &[u8]) -> Result<Option<Self>, Violation> {
        let known = bytes.len().min(OTHER_PROTOCOL.len());
        if bytes[..known] != OTHER_PROTOCOL[..known] {
            return Err(Violation::FrameType(bytes[0]));
        }
        let head = Self { kind: Kind::Protocol, channel: 0, payload: 0 };
        Ok((bytes.len() >= OTHER_PROTOCOL_LENGTH).then_some(head))
    }

    /// The length of the whole frame in bytes, with head and end byte.
    pub(crate) const fn frame(&self) -> usize {
        match self.kind {
            Kind::Protocol => OTHER_PROTOCOL_LENGTH,
            _ => self.payload + OVERHEAD,
        }
    }

    /// The length of the frame at the start of `bytes`, as far as they tell;
    /// more than there are while it is incomplete.
    /// A caller that reads no more leaves the next frame alone.
    pub(crate) fn needed(bytes: &[u8]) -> usize {
        match bytes.first() {
            Some(b'A') => OTHER_PROTOCOL_LENGTH,
            _ => match bytes.first_chunk::<HEAD>() {
                Some(&[_, _, _, p0, p1, p2, p3]) => {
                    let payload = u32::from_be_bytes([p0, p1, p2, p3]);
                    usize::try_from(payload).unwrap_or(usize::MAX).saturating_add(OVERHEAD)
                }
                None => HEAD,
            },
        }
    }
}
