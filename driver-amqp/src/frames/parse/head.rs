//! The head of a frame: what it is, on which channel, and how long.

use super::violation::Violation;

/// The bytes of a head: type, channel, length of the payload.
pub(crate) const HEAD: usize = 7;
/// The byte behind every payload.
pub(crate) const END: u8 = 0xCE;
/// What a frame takes besides its payload.
pub(crate) const OVERHEAD: usize = HEAD + 1;
/// The most that a content header may take before it is cut to the frame limit, in bytes. What exceeds the limit is what
/// brokers added, which is far less than this.
pub(crate) const CAP: usize = 1 << 20;
/// A heartbeat.
pub(crate) const HEARTBEAT: [u8; OVERHEAD] = [8, 0, 0, 0, 0, 0, 0, END];
/// What a server answers that does not speak the protocol which it was asked for; a version follows.
const OTHER_PROTOCOL: &[u8] = b"AMQP\0";
/// How long that answer is.
const OTHER_PROTOCOL_LENGTH: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Method,
    Header,
    Body,
    Heartbeat,
    /// The protocol that the server speaks instead.
    Protocol,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    pub(crate) channel: u16,
    /// The bytes of the payload.
    pub(crate) payload: usize,
}

impl Kind {
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
    /// The head that `bytes` begin with; `None` if it is torn. `limit` is the largest frame that was agreed upon.
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

    fn other_protocol(bytes: &[u8]) -> Result<Option<Self>, Violation> {
        let known = bytes.len().min(OTHER_PROTOCOL.len());
        if bytes[..known] != OTHER_PROTOCOL[..known] {
            return Err(Violation::FrameType(bytes[0]));
        }
        let head = Self { kind: Kind::Protocol, channel: 0, payload: 0 };
        Ok((bytes.len() >= OTHER_PROTOCOL_LENGTH).then_some(head))
    }

    /// The bytes of the whole frame.
    pub(crate) const fn frame(&self) -> usize {
        match self.kind {
            Kind::Protocol => OTHER_PROTOCOL_LENGTH,
            _ => self.payload + OVERHEAD,
        }
    }

    /// How many bytes the frame takes that `bytes` begin with, as far as they say; at least one more than there are while
    /// it is torn.
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
