//! Frames as a broker writes them, for tests.
//!
//! They follow AMQP 0-9-1 byte by byte, and not the parsers of the driver, so an error there is not repeated here.

use crate::frames::parse::head::END;

/// A frame of any type, also of one that does not exist:
/// type, channel, length of the payload, payload and end byte, as in section 4.2.3 of AMQP 0-9-1.
pub(crate) fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend(channel.to_be_bytes());
    frame.extend(length(payload));
    frame.extend(payload);
    frame.push(END);
    frame
}

/// A method frame: the ids of class and method, then the fields without padding.
pub(crate) fn method(channel: u16, (class, method): (u16, u16), fields: &[&[u8]]) -> Vec<u8> {
    frame(1, channel, &[&class.to_be_bytes(), &method.to_be_bytes(), &fields.concat()[..]].concat())
}

/// One body frame. A content with a longer body takes several of them.
pub(crate) fn body(channel: u16, bytes: &[u8]) -> Vec<u8> {
    frame(3, channel, bytes)
}

/// A content header of the class basic (60) with the weight 0. `flags` say which `properties` there are.
/// The highest bit of `flags` is the first property.
pub(crate) fn header(channel: u16, body: u64, flags: u16, properties: &[&[u8]]) -> Vec<u8> {
    let fixed = [&60_u16.to_be_bytes()[..], &[0, 0], &body.to_be_bytes(), &flags.to_be_bytes()].concat();
    frame(2, channel, &[&fixed[..], &properties.concat()].concat())
}

/// A content header with headers and no other property.
/// Bit 13 of the flags announces them: the third property of the basic class.
pub(crate) fn headers(channel: u16, body: u64, entries: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
    header(channel, body, 1 << 13, &[&table(entries)])
}

/// basic.deliver of a first delivery, to the consumer with the tag `1`.
pub(crate) fn deliver(channel: u16, tag: u64) -> Vec<u8> {
    method(channel, (60, 60), &[&short(b"1"), &tag.to_be_bytes(), &[0], &short(b"exchange"), &short(b"key")])
}

/// A returned message in its frames: a basic.return with code 312,
/// a content header whose only property is the message id, and a body unless it is empty.
pub(crate) fn returned(channel: u16, id: &[u8], content: &[u8]) -> Vec<Vec<u8>> {
    let method = method(channel, (60, 50), &[&312_u16.to_be_bytes(), &short(b"NO_ROUTE"), &short(b""), &short(b"key")]);
    let mut frames = vec![method, header(channel, content.len() as u64, 1 << 7, &[&short(id)])];
    if !content.is_empty() {
        frames.push(body(channel, content));
    }
    frames
}

/// basic.ack for one message. On a publishing channel it is a confirm.
pub(crate) fn ack(channel: u16, tag: u64) -> Vec<u8> {
    method(channel, (60, 80), &[&tag.to_be_bytes(), &[0]])
}

/// connection.start of protocol version 0-9, the first frame of a broker.
pub(crate) fn start(properties: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
    method(0, (10, 10), &[&[0, 9], &table(properties), &long(b"PLAIN AMQPLAIN"), &long(b"en_US")])
}

/// connection.tune with 2,047 channels and a heartbeat of 60 s,
/// the values of RabbitMQ. A `frame_max` of 0 means no limit.
pub(crate) fn tune(frame_max: u32) -> Vec<u8> {
    method(0, (10, 30), &[&2047_u16.to_be_bytes(), &frame_max.to_be_bytes(), &60_u16.to_be_bytes()])
}

/// A short string: one byte of length, then at most 255 bytes in any encoding.
pub(crate) fn short(text: &[u8]) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short string");
    [&[length], text].concat()
}

/// A long string: four bytes of length in network order, then the bytes.
pub(crate) fn long(bytes: &[u8]) -> Vec<u8> {
    [&length(bytes), bytes].concat()
}

/// A field table. The values come with their type byte; the length in front counts bytes, not entries.
pub(crate) fn table(entries: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<u8> = entries.iter().flat_map(|(name, value)| [short(name), value.clone()].concat()).collect();
    long(&entries)
}

/// A field value of the type long string: one type byte, four bytes of length, and bytes that need not be UTF-8.
pub(crate) fn text(text: &[u8]) -> Vec<u8> {
    [b"S", &long(text)[..]].concat()
}

/// A field value of `depth` arrays or tables, one in the other, around a boolean.
/// `depth` counts the levels below the table that contains it.
pub(crate) fn nested(depth: usize, tables: bool) -> Vec<u8> {
    let mut value = vec![b't', 1];
    for _ in 0..depth {
        value = if tables { [b"F", &table(&[(b"n", value)])[..]].concat() } else { [b"A", &long(&value)[..]].concat() };
    }
    value
}

/// In network order, as AMQP writes all integers.
fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("it is not so long").to_be_bytes()
}
