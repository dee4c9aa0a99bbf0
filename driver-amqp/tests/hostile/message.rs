//! Messages that attack their reader.

use testkit::raw::frame::{Payload, entry, headers, nested};

/// 120 MiB of zeros, compressed to a few hundred bytes.
const BOMB: &[u8] = include_bytes!("bomb.bz2");

/// One message, and whether its reader can make anything of it.
#[derive(Debug, Clone)]
pub(crate) struct Hostile {
    pub(crate) name: &'static str,
    pub(crate) properties: Payload,
    pub(crate) body: Vec<u8>,
    /// Its body is sound and can be read, so it is handled as any other.
    pub(crate) handled: bool,
}

/// The messages, each around a body of `sound`, which is given a number.
pub(crate) fn hostile(sound: impl Fn(usize) -> String) -> Vec<Hostile> {
    let mut all = Vec::new();
    let mut add = |name, properties, body: Option<Vec<u8>>| {
        let (handled, number) = (body.is_none(), all.len());
        let body = body.unwrap_or_else(|| sound(number).into_bytes());
        all.push(Hostile { name, properties, body, handled });
    };
    let none = || Payload::default().number16(0);
    let compressed = |by: &[u8]| headers(&entry(b"compression", b'S', &Payload::default().long(by).0));
    for depth in [65, 200, 1_200] {
        add("arrays in arrays", headers(&entry(b"deep", b'A', &nested(b'A', depth))), None);
        add("tables in tables", headers(&entry(b"deep", b'F', &nested(b'F', depth))), None);
    }
    add("the name of a header is no text", headers(&entry(b"caf\xe9", b'V', b"")), None);
    add("a header is no text", headers(&entry(b"bytes", b'S', &Payload::default().long(b"\xff\xfe").0)), None);
    // The flags of the properties that are short strings (AMQP 0-9-1, class basic).
    for (name, flag) in [
        ("the content type is no text", 15),
        ("the content encoding is no text", 14),
        ("the correlation id is no text", 10),
        ("the reply queue is no text", 9),
        ("the expiration is no text", 8),
        ("the message id is no text", 7),
        ("the type is no text", 5),
        ("the application is no text", 3),
    ] {
        // RabbitMQ itself refuses an expiration that is no number.
        let value: &[u8] = if flag == 8 { b"60000" } else { b"\xff\x00caf\xe9" };
        add(name, Payload::default().number16(1 << flag).short(value), None);
    }
    let many: Vec<u8> = (0..4_000).flat_map(|n| entry(format!("header-{n}").as_bytes(), b'V', b"")).collect();
    add("four thousand headers", headers(&many), None);
    add("a header of 120 KB", headers(&entry(b"big", b'S', &Payload::default().long(&vec![b'a'; 120_000]).0)), None);
    add("a bomb", compressed(b"application/x-bz2"), Some(BOMB.to_vec()));
    add("a compression that does not exist", compressed(b"\x1b[31m"), Some(b"{}".to_vec()));
    add("no compressed body", compressed(b"application/x-gzip"), Some(b"{}".to_vec()));
    add("nothing", none(), Some(Vec::new()));
    add("no JSON", none(), Some(vec![0xFF; 1_000]));
    add("arrays in arrays of JSON", none(), Some(vec![b'['; 200_000]));
    add("an envelope of another version", none(), Some(br#"{"oslo.version": "9.9", "oslo.message": "{}"}"#.to_vec()));
    add("an envelope without a message", none(), Some(br#"{"oslo.version": "2.0"}"#.to_vec()));
    all
}
