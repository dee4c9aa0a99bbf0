//! The frames of AMQP 0-9-1 in a stream of bytes, and what each is for. Pure.

pub(crate) mod tests;

use std::fmt;

use testkit::proxy::Direction;

/// The class of messages and their settlement (AMQP 0-9-1, section 1.8).
const BASIC: u16 = 60;
/// A frame's type, channel and size, before its payload.
const PREFIX: usize = 7;
/// What a client says first: not a frame.
const PROTOCOL_HEADER: &[u8] = b"AMQP\0\0\x09\x01";

/// One frame, from its first byte to the one behind its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) start: usize,
    /// Where it says that it ends, though the stream may end before.
    pub(crate) end: usize,
    pub(crate) kind: Kind,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    ProtocolHeader,
    Heartbeat,
    Method(Method),
    /// The properties of the message that the method announced.
    Header(Method),
    /// A part of its body.
    Body(Method),
    /// There is too little of it to say.
    Unknown,
}

/// A method by the numbers of its class and its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Method(pub(crate) u16, pub(crate) u16);

/// What a frame does for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Concern {
    /// A message on its way to the broker.
    Publish,
    /// The broker's word that it has messages, or has not.
    Confirm,
    /// A message on its way from the broker.
    Delivery,
    /// A reader's word that messages are done with.
    Acknowledgement,
    /// Everything else: handshakes, channels, declarations, heartbeats.
    Other,
}

/// The frames in `bytes`, which are one connection's first in one direction. The last one may not be whole.
pub(crate) fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    // What each channel sends the content of.
    let mut contents: Vec<(u16, Method)> = Vec::new();
    let mut start = 0;
    if bytes.starts_with(PROTOCOL_HEADER) {
        start = PROTOCOL_HEADER.len();
        frames.push(Frame { start: 0, end: start, kind: Kind::ProtocolHeader });
    }
    while let Some(rest) = bytes.get(start..).filter(|rest| !rest.is_empty()) {
        let Some(prefix) = rest.get(..PREFIX) else {
            frames.push(Frame { start, end: start + PREFIX, kind: Kind::Unknown });
            break;
        };
        let channel = u16::from_be_bytes([prefix[1], prefix[2]]);
        let size = u32::from_be_bytes([prefix[3], prefix[4], prefix[5], prefix[6]]);
        let content = contents.iter().rfind(|(of, _)| *of == channel).map(|&(_, method)| method);
        let kind = match (prefix[0], content) {
            (1, _) => method_in(&rest[PREFIX..]).map_or(Kind::Unknown, Kind::Method),
            (2, Some(method)) => Kind::Header(method),
            (3, Some(method)) => Kind::Body(method),
            (8, _) => Kind::Heartbeat,
            _ => Kind::Unknown,
        };
        if let Kind::Method(method) = kind {
            contents.retain(|(of, _)| *of != channel);
            contents.push((channel, method));
        }
        let end = start + PREFIX + size as usize + 1;
        frames.push(Frame { start, end, kind });
        start = end;
    }
    frames
}

/// The frame in which the connection ends if `offset` bytes of it arrive: the one that the next byte belongs to.
pub(crate) fn frame_at(frames: &[Frame], offset: usize) -> Option<&Frame> {
    frames.iter().find(|frame| (frame.start..frame.end).contains(&offset))
}

fn method_in(payload: &[u8]) -> Option<Method> {
    let numbers = payload.get(..4)?;
    Some(Method(u16::from_be_bytes([numbers[0], numbers[1]]), u16::from_be_bytes([numbers[2], numbers[3]])))
}

impl Frame {
    /// Whether a connection of which `offset` bytes arrive ends within this frame, and not between two.
    pub(crate) fn is_torn_by(&self, offset: usize) -> bool {
        self.start < offset && offset < self.end
    }

    /// What it does for a message, if it goes in `direction`.
    pub(crate) fn concern(&self, direction: Direction) -> Concern {
        let (Kind::Method(method) | Kind::Header(method) | Kind::Body(method)) = self.kind else {
            return Concern::Other;
        };
        match (method, direction) {
            (Method::PUBLISH, Direction::ToBroker) => Concern::Publish,
            (Method::ACK | Method::NACK, Direction::FromBroker) => Concern::Confirm,
            (Method::DELIVER, Direction::FromBroker) => Concern::Delivery,
            (Method::ACK | Method::NACK | Method::REJECT, Direction::ToBroker) => Concern::Acknowledgement,
            _ => Concern::Other,
        }
    }
}

impl Method {
    pub(crate) const PUBLISH: Self = Self(BASIC, 40);
    pub(crate) const RETURN: Self = Self(BASIC, 50);
    pub(crate) const DELIVER: Self = Self(BASIC, 60);
    pub(crate) const ACK: Self = Self(BASIC, 80);
    pub(crate) const REJECT: Self = Self(BASIC, 90);
    pub(crate) const NACK: Self = Self(BASIC, 120);
}

impl Concern {
    pub(crate) const ALL: [Self; 5] =
        [Self::Publish, Self::Confirm, Self::Delivery, Self::Acknowledgement, Self::Other];
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publish => "publish",
            Self::Confirm => "confirm",
            Self::Delivery => "delivery",
            Self::Acknowledgement => "acknowledgement",
            Self::Other => "other",
        })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(class, number) = *self;
        match *self {
            Self::PUBLISH => f.write_str("basic.publish"),
            Self::RETURN => f.write_str("basic.return"),
            Self::DELIVER => f.write_str("basic.deliver"),
            Self::ACK => f.write_str("basic.ack"),
            Self::REJECT => f.write_str("basic.reject"),
            Self::NACK => f.write_str("basic.nack"),
            _ => {
                let class = match class {
                    10 => "connection",
                    20 => "channel",
                    40 => "exchange",
                    50 => "queue",
                    60 => "basic",
                    85 => "confirm",
                    _ => return write!(f, "method {class}.{number}"),
                };
                write!(f, "{class} method {number}")
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProtocolHeader => f.write_str("protocol header"),
            Self::Heartbeat => f.write_str("heartbeat"),
            Self::Method(method) => method.fmt(f),
            Self::Header(method) => write!(f, "header of {method}"),
            Self::Body(method) => write!(f, "body of {method}"),
            Self::Unknown => f.write_str("unknown frame"),
        }
    }
}
