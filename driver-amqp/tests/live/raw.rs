//! A client that writes its frames byte by byte, so that it can publish what no library lets it.

use std::io::{Read, Write};
use std::net::TcpStream;

use testkit::stage::{ARRIVE, Stage};

/// A connection with one channel, in confirm mode.
pub(crate) struct Raw(TcpStream);

impl Raw {
    /// Connects to the node of `stage`. Blocks.
    pub(crate) fn connect(stage: &Stage) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", stage.node.port())).expect("a connection");
        stream.set_read_timeout(Some(ARRIVE)).expect("a budget");
        let mut raw = Self(stream);
        raw.0.write_all(b"AMQP\0\0\x09\x01").expect("the protocol");
        raw.expect((10, 10));
        raw.method(0, (10, 11), &[&long(b""), &short(b"PLAIN"), &long(b"\0guest\0guest"), &short(b"en_US")]);
        let tune = raw.expect((10, 30));
        let frame_max = u32::from_be_bytes([tune[6], tune[7], tune[8], tune[9]]);
        raw.method(0, (10, 31), &[&[0, 8], &frame_max.to_be_bytes(), &[0, 0]]);
        raw.method(0, (10, 40), &[&short(stage.vhost.as_bytes()), &short(b""), &[0]]);
        raw.expect((10, 41));
        raw.method(1, (20, 10), &[&short(b"")]);
        raw.expect((20, 11));
        raw.method(1, (85, 10), &[&[0]]);
        raw.expect((85, 11));
        raw
    }

    /// Declares a durable queue.
    pub(crate) fn declare(&mut self, queue: &str) {
        self.method(1, (50, 10), &[&[0, 0], &short(queue.as_bytes()), &[2], &long(b"")]);
        self.expect((50, 11));
    }

    /// Publishes into `queue`, and waits until the broker has it. `flags` say which `properties` there are.
    pub(crate) fn publish(&mut self, queue: &str, flags: u16, properties: &[u8], body: &[u8]) {
        self.method(1, (60, 40), &[&[0, 0], &short(b""), &short(queue.as_bytes()), &[0]]);
        let size = (body.len() as u64).to_be_bytes();
        self.frame(2, 1, &[&[0, 60, 0, 0][..], &size, &flags.to_be_bytes(), properties].concat());
        self.frame(3, 1, body);
        self.expect((60, 80));
    }

    fn method(&mut self, channel: u16, (class, method): (u16, u16), fields: &[&[u8]]) {
        let payload = [&class.to_be_bytes(), &method.to_be_bytes(), &fields.concat()[..]].concat();
        self.frame(1, channel, &payload);
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        self.0.write_all(&frame(kind, channel, payload)).expect("a frame is written");
    }

    /// The payload of the next method, which must be this one.
    fn expect(&mut self, (class, method): (u16, u16)) -> Vec<u8> {
        loop {
            let mut head = [0; 7];
            self.0.read_exact(&mut head).expect("a frame");
            let mut payload = vec![0; u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize + 1];
            self.0.read_exact(&mut payload).expect("its payload");
            if head[0] == 1 {
                let is = payload.starts_with(&[&class.to_be_bytes()[..], &method.to_be_bytes()].concat());
                assert!(is, "not {class}.{method}: {:?}", String::from_utf8_lossy(&payload));
                return payload;
            }
        }
    }
}

pub(crate) fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let head = [&[kind][..], &channel.to_be_bytes(), &length(payload)].concat();
    [&head, payload, &[0xCE]].concat()
}

pub(crate) fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).expect("a short string")], text].concat()
}

pub(crate) fn long(bytes: &[u8]) -> Vec<u8> {
    [&length(bytes), bytes].concat()
}

/// A table of one header.
pub(crate) fn header(name: &[u8], value: &[u8]) -> Vec<u8> {
    long(&[&short(name), value].concat())
}

pub(crate) fn text(text: &[u8]) -> Vec<u8> {
    [b"S", &long(text)[..]].concat()
}

/// A value of `depth` arrays or tables, one in the other.
pub(crate) fn nested(depth: usize, tables: bool) -> Vec<u8> {
    let wrapped = |value: Vec<u8>| {
        if tables { [b"F", &header(b"n", &value)[..]].concat() } else { [b"A", &long(&value)[..]].concat() }
    };
    (0..depth).fold(b"V".to_vec(), |value, _| wrapped(value))
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("it is not so long").to_be_bytes()
}
