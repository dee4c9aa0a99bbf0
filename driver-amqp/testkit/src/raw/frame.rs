//! AMQP 0-9-1 frames, written by hand: also those that no client library would write.
#![allow(clippy::needless_pass_by_value, reason = "a payload is written where it is passed")]

/// The frame types (AMQP 0-9-1, section 4.2.3).
pub const METHOD: u8 = 1;
pub const HEADER: u8 = 2;
pub const BODY: u8 = 3;
pub const HEARTBEAT: u8 = 8;

/// The class of messages.
pub const BASIC: u16 = 60;

/// What a client says first.
pub const PROTOCOL_HEADER: &[u8] = b"AMQP\0\0\x09\x01";

/// What comes before a frame's payload: its type, channel and size.
pub const HEAD: usize = 7;

/// The last byte of a frame.
const END: u8 = 0xCE;

/// The payload of a frame while it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payload(pub Vec<u8>);

impl Payload {
    pub fn byte(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub fn number16(mut self, value: u16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub fn number32(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub fn number64(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A short string, which need not be text.
    pub fn short(self, bytes: &[u8]) -> Self {
        let length = u8::try_from(bytes.len()).expect("a short string has at most 255 bytes");
        self.byte(length).raw(bytes)
    }

    /// A long string, a table or an array: its length and its content.
    pub fn long(self, bytes: &[u8]) -> Self {
        self.number32(u32::try_from(bytes.len()).expect("it is far shorter")).raw(bytes)
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
}

/// A frame of any type.
pub fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(channel.to_be_bytes());
    bytes.extend(u32::try_from(payload.len()).expect("it is far shorter").to_be_bytes());
    bytes.extend(payload);
    bytes.push(END);
    bytes
}

/// A method frame.
pub fn method(channel: u16, class: u16, number: u16, arguments: Payload) -> Vec<u8> {
    frame(METHOD, channel, &Payload::default().number16(class).number16(number).raw(&arguments.0).0)
}

/// A content header with the properties in `properties`, which begin with their flags.
pub fn header(channel: u16, body_size: u64, properties: &Payload) -> Vec<u8> {
    let payload = Payload::default().number16(BASIC).number16(0).number64(body_size).raw(&properties.0);
    frame(HEADER, channel, &payload.0)
}

/// `connection.tune`; `tune-ok` is the same with the number 31.
pub fn tune(number: u16, channel_max: u16, frame_max: u32, heartbeat: u16) -> Vec<u8> {
    method(0, 10, number, Payload::default().number16(channel_max).number32(frame_max).number16(heartbeat))
}

/// Properties without any.
pub fn no_properties() -> Payload {
    Payload::default().number16(0)
}

/// Properties of `headers` alone, which are the content of a table.
pub fn headers(headers: &[u8]) -> Payload {
    Payload::default().number16(1 << 13).long(headers)
}

/// One entry of a table: a name, the tag of a type, and the value.
pub fn entry(name: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
    Payload::default().short(name).byte(tag).raw(value).0
}

/// The value of an array (`A`) or of a table (`F`) that holds one of its kind, and so on, `depth` times.
pub fn nested(tag: u8, depth: usize) -> Vec<u8> {
    let mut value = Payload::default().long(b"").0;
    for _ in 0..depth {
        let inner = if tag == b'F' { entry(b"n", tag, &value) } else { [&[tag], &value[..]].concat() };
        value = Payload::default().long(&inner).0;
    }
    value
}
