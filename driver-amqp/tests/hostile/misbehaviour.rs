//! The ways in which a broker may be wrong, and what its client must report of each.

use oslo_messaging::ErrorKind;

use crate::wrong_broker::{What, When, close, heartbeat, start_with};
use testkit::raw::frame::{
    BASIC, BODY, METHOD, Payload, entry, frame, header, headers, method, nested, no_properties, tune,
};

/// One way of being wrong.
#[derive(Debug, Clone)]
pub(crate) struct Misbehaviour {
    pub(crate) name: &'static str,
    pub(crate) when: When,
    pub(crate) what: What,
    /// What connecting ends with; nothing if it works all the same, or may.
    pub(crate) connecting: Option<ErrorKind>,
}

const GREETING: When = When::Greeting;
const START_OK: When = When::Method(10, 11);
const TUNE_OK: When = When::Method(10, 31);
const OPEN: When = When::Method(10, 40);
const CLOSE: When = When::Method(10, 50);
const CHANNEL_OPEN: When = When::Method(20, 10);
const CHANNEL_CLOSE: When = When::Method(20, 40);
const EXCHANGE_DECLARE: When = When::Method(40, 10);
const QUEUE_DECLARE: When = When::Method(50, 10);
const QUEUE_BIND: When = When::Method(50, 20);
const QOS: When = When::Method(60, 10);
const CONSUME: When = When::Method(60, 20);
const CANCEL: When = When::Method(60, 30);
const PUBLISH: When = When::Method(60, 40);
const CONFIRM_SELECT: When = When::Method(85, 10);

/// Misbehaviour before or during the login.
pub(crate) fn before_login() -> Vec<Misbehaviour> {
    use ErrorKind::{Config, Denied, Disconnected, Timeout};
    let fails = |name, when, what, kind| Misbehaviour { name, when, what, connecting: Some(kind) };
    let may = |name, when, what| Misbehaviour { name, when, what, connecting: None };
    let deep = |tag| start_with(&entry(b"deep", tag, &nested(tag, 1_200)), b"PLAIN");
    vec![
        fails("says nothing", GREETING, What::Silence, Timeout),
        fails("hangs up at once", GREETING, What::Close, Disconnected),
        fails("resets at once", GREETING, What::Reset, Disconnected),
        fails(
            "answers HTTP",
            GREETING,
            What::LastWords(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec()),
            Disconnected,
        ),
        fails("speaks AMQP 1.0", GREETING, What::LastWords(b"AMQP\0\x01\0\0".to_vec()), Disconnected),
        fails("speaks another AMQP 0", GREETING, What::LastWords(b"AMQP\0\0\x08\0".to_vec()), Disconnected),
        fails("says random bytes", GREETING, What::LastWords((0..4_096_u32).map(noise).collect()), Disconnected),
        may("says zeros", GREETING, What::Flood(vec![0; 4_096])),
        may("sends heartbeats before its greeting", GREETING, What::Instead(heartbeat(0, b"").repeat(1_000))),
        may(
            "announces a frame of 4 GiB",
            GREETING,
            What::Instead(vec![METHOD, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 10, 0, 10]),
        ),
        may("ends a frame with another byte", GREETING, What::Instead(wrong_end(start_with(b"", b"PLAIN")))),
        may("greets with arrays in arrays", GREETING, What::Instead(deep(b'A'))),
        may("greets with tables in tables", GREETING, What::Instead(deep(b'F'))),
        may(
            "greets with properties that are no text",
            GREETING,
            What::Instead(start_with(&entry(b"caf\xe9", b'V', b""), b"PLAIN")),
        ),
        may("greets with 2 MiB", GREETING, What::Instead(start_with(&big(2 << 20), b"PLAIN"))),
        may("offers no way to log in", GREETING, What::Instead(start_with(b"", b""))),
        may("offers an unknown way to log in", GREETING, What::Instead(start_with(b"", b"FOO"))),
        fails("greets byte by byte", GREETING, What::Trickle(start_with(b"", b"PLAIN")), Timeout),
        may("greets twice", GREETING, What::Also(start_with(b"", b"PLAIN"))),
        may("tunes before it greets", GREETING, What::Instead(tune(30, 2_047, 131_072, 10))),
        may("sends a body before its greeting", GREETING, What::Instead(frame(BODY, 1, b"body"))),
        may("greets on another channel", GREETING, What::Instead(on_channel(7, start_with(b"", b"PLAIN")))),
        fails("never tunes", START_OK, What::Silence, Timeout),
        fails(
            "refuses the login",
            START_OK,
            What::Instead(close(0, 403, b"ACCESS_REFUSED - Login was refused")),
            Denied,
        ),
        may("refuses with what is no text", START_OK, What::Instead(close(0, 403, b"\xff\xfe\x1b[31m\nERROR forged"))),
        may("refuses with an unknown code", START_OK, What::Instead(close(0, 999, b"mood"))),
        may(
            "asks for secrets again and again",
            START_OK,
            What::Flood(method(0, 10, 20, Payload::default().long(b"more"))),
        ),
        may("tunes to no limit of frames", START_OK, What::Instead(tune(30, 0, 0, 0))),
        may("tunes to frames of 1 GiB", START_OK, What::Instead(tune(30, 2_047, 1 << 30, 10))),
        fails("tunes to frames of 100 bytes", START_OK, What::Instead(tune(30, 2_047, 100, 10)), Config),
        fails("never opens", OPEN, What::Silence, Timeout),
        fails(
            "has no such virtual host",
            OPEN,
            What::Instead(close(0, 530, b"NOT_ALLOWED - vhost / not found")),
            Config,
        ),
        may("closes after it was tuned", TUNE_OK, What::Close),
    ]
}

/// Misbehaviour after the login. Connecting may fail, a later operation may, or nothing does.
pub(crate) fn after_login() -> Vec<Misbehaviour> {
    let wrong = |name, when, what| Misbehaviour { name, when, what, connecting: None };
    let ack = |tag, multiple| method(1, BASIC, 80, Payload::default().number64(tag).byte(multiple));
    vec![
        wrong("never opens a channel", CHANNEL_OPEN, What::Silence),
        wrong("closes every channel", CHANNEL_OPEN, What::Also(close(1, 404, b"NOT_FOUND - mood"))),
        wrong("opens a channel twice", CHANNEL_OPEN, What::Also(method(1, 20, 11, Payload::default().number32(0)))),
        wrong("says that a closed channel is closed", CHANNEL_OPEN, What::Also(method(9, 20, 41, Payload::default()))),
        wrong("stops the flow", CHANNEL_OPEN, What::Also(method(1, 20, 20, Payload::default().byte(0)))),
        wrong("never declares", QUEUE_DECLARE, What::Silence),
        wrong(
            "declares another queue",
            QUEUE_DECLARE,
            What::Instead(method(1, 50, 11, Payload::default().short(b"other").number32(0).number32(0))),
        ),
        wrong("has an internal error", QUEUE_DECLARE, What::Instead(close(0, 541, b"INTERNAL_ERROR"))),
        wrong("closes with what is no text", QUEUE_DECLARE, What::Instead(close(0, 320, b"\xff\xfe\x1b[2J"))),
        wrong("says goodbye and stays", QUEUE_DECLARE, What::Instead(close(0, 320, b"CONNECTION_FORCED"))),
        wrong("reads nothing more", QUEUE_DECLARE, What::Deaf),
        wrong("never lets consume", CONSUME, What::Silence),
        wrong(
            "cancels every consumer",
            CONSUME,
            What::Also(method(1, BASIC, 30, Payload::default().short(b"1").byte(0))),
        ),
        wrong("delivers to a consumer that is none", CONSUME, What::Also(deliver(b"none", 1, &no_properties(), b"{}"))),
        wrong("delivers the tag 0", CONSUME, What::Also(deliver(b"1", 0, &no_properties(), b"{}"))),
        wrong("delivers one tag twice", CONSUME, What::Also(deliver(b"1", 1, &no_properties(), b"{}").repeat(2))),
        wrong(
            "delivers more than it announced",
            CONSUME,
            What::Also([deliver(b"1", 1, &no_properties(), b"{}"), frame(BODY, 1, b"more")].concat()),
        ),
        wrong(
            "announces a body of 8 EiB",
            CONSUME,
            What::Also([delivery(b"1", 1), header(1, 1 << 63, &no_properties())].concat()),
        ),
        wrong(
            "delivers properties that are none",
            CONSUME,
            What::Also(
                [delivery(b"1", 1), header(1, 2, &Payload::default().number16(0xFFFE)), frame(BODY, 1, b"{}")].concat(),
            ),
        ),
        wrong(
            "delivers headers in headers",
            CONSUME,
            What::Also(deliver(b"1", 1, &headers(&entry(b"deep", b'F', &nested(b'F', 1_200))), b"{}")),
        ),
        wrong("delivers headers of 2 MiB", CONSUME, What::Also(deliver(b"1", 1, &headers(&big(2 << 20)), b"{}"))),
        wrong("delivers without a header", CONSUME, What::Also(delivery(b"1", 1).repeat(2))),
        wrong("sends a body on channel 0", CONSUME, What::Also(frame(BODY, 0, b"{}"))),
        wrong("sends a heartbeat on a channel", CONSUME, What::Also(heartbeat(5, b"boo"))),
        wrong("sends frames of an unknown type", CONSUME, What::Also(frame(42, 1, b"?"))),
        wrong("sends an unknown method", CONSUME, What::Also(method(1, 77, 7, Payload::default()))),
        wrong("sends a truncated method", CONSUME, What::Also(frame(METHOD, 1, &[0, 60]))),
        wrong("floods with heartbeats", CONSUME, What::Flood(heartbeat(0, b"").repeat(500))),
        wrong("never confirms", PUBLISH, What::Silence),
        wrong("confirms what was never sent", PUBLISH, What::Also(ack(4_711, 0))),
        wrong("confirms everything twice", PUBLISH, What::Also(ack(0, 1))),
        wrong("returns what was never sent", PUBLISH, What::Also(unknown_return())),
        wrong(
            "blocks with what is no text",
            PUBLISH,
            What::Instead(method(0, 10, 60, Payload::default().short(&[0xFF; 255]))),
        ),
        wrong("never allows confirms", CONFIRM_SELECT, What::Silence),
        wrong("never sets a prefetch", QOS, What::Silence),
        wrong("never declares an exchange", EXCHANGE_DECLARE, What::Silence),
        wrong("never binds", QUEUE_BIND, What::Silence),
        wrong("never cancels", CANCEL, What::Silence),
        wrong("never closes a channel", CHANNEL_CLOSE, What::Silence),
        wrong("never closes", CLOSE, What::Silence),
        wrong("reads nothing after it was asked to close", CLOSE, What::Deaf),
        wrong("hangs up at a publish", PUBLISH, What::Close),
        wrong("resets at a publish", PUBLISH, What::Reset),
    ]
}

/// `basic.deliver` to a consumer, with the header and the body.
fn deliver(consumer: &[u8], tag: u64, properties: &Payload, body: &[u8]) -> Vec<u8> {
    [delivery(consumer, tag), header(1, body.len() as u64, properties), frame(BODY, 1, body)].concat()
}

fn delivery(consumer: &[u8], tag: u64) -> Vec<u8> {
    let arguments = Payload::default().short(consumer).number64(tag).byte(0).short(b"x").short(b"k");
    method(1, BASIC, 60, arguments)
}

fn unknown_return() -> Vec<u8> {
    let arguments = Payload::default().number16(312).short(b"NO_ROUTE").short(b"x").short(b"k");
    [method(1, BASIC, 50, arguments), header(1, 2, &no_properties()), frame(BODY, 1, b"{}")].concat()
}

/// A table's content of so many bytes.
fn big(bytes: usize) -> Vec<u8> {
    entry(b"big", b'S', &Payload::default().long(&vec![b'a'; bytes]).0)
}

fn wrong_end(mut frame: Vec<u8>) -> Vec<u8> {
    if let Some(end) = frame.last_mut() {
        *end = 0;
    }
    frame
}

fn on_channel(channel: u16, mut frame: Vec<u8>) -> Vec<u8> {
    frame[1..3].copy_from_slice(&channel.to_be_bytes());
    frame
}

/// A byte that looks like any other.
fn noise(index: u32) -> u8 {
    index.wrapping_mul(2_654_435_761).to_be_bytes()[0] | 0x10
}
