//! Whatever arrives, the answer is a value: read, or refused.

use std::panic::{AssertUnwindSafe, catch_unwind};

use oslo_messaging::driver::Message;
use oslo_messaging::wire::{Envelope, Format, Notification, Reply, Request, compression};
use oslo_messaging::{ErrorKind, Payload};
use serde_json::Value;

use crate::corpus::vectors;

/// How many random and mutated inputs are read.
const INPUTS: u32 = 100_000;

/// A generator that makes the same inputs every time (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        // Half of the bytes mean something to a JSON parser, so that inputs get past its first token.
        const TOKENS: &[u8] = b"{}[]\":,\\u\\ud800NaNInfinity-0123456789eE.+ \n\x00\x7f\xc3\xff";
        if self.below(2) == 0 { TOKENS[self.below(TOKENS.len())] } else { self.next().to_le_bytes()[0] }
    }
}

fn enveloped(content: &str) -> Message {
    let content = Value::from(content);
    Message::new(format!(r#"{{"oslo.version":"2.0","oslo.message":{content}}}"#))
}

/// Bodies to start from: the published ones, and what is in their envelopes.
fn seeds() -> Vec<Vec<u8>> {
    let bodies = vectors().into_iter().map(|vector| compression::body(&vector.message).unwrap().to_vec());
    let contents = vectors().into_iter().filter_map(|vector| {
        let body: Value = serde_json::from_slice(&compression::body(&vector.message).unwrap()).unwrap();
        Some(body.get("oslo.message")?.as_str()?.as_bytes().to_vec())
    });
    bodies.chain(contents).collect()
}

fn mutated(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    match random.below(5) {
        0 => bytes = (0..random.below(200)).map(|_| random.byte()).collect(),
        1 => bytes.truncate(random.below(bytes.len())),
        2 => {
            let other = &seeds[random.below(seeds.len())];
            bytes.truncate(random.below(bytes.len()));
            bytes.extend_from_slice(&other[random.below(other.len())..]);
        }
        _ => {
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len());
                bytes[at] = random.byte();
            }
        }
    }
    bytes
}

/// Reads `message` in every way there is; now and then uses what comes out, which costs more.
fn read(message: &Message, random: &mut Random) {
    let used = random.below(4) == 0;
    let (request, reply) = (Request::decode(message), Reply::decode(message));
    let notification = Notification::decode(message);
    if !used {
        return;
    }
    if let Ok(request) = request {
        let _ = request.args.decode::<Value>();
        Request::decode(&Message::new(request.encode())).expect("what is written can be read");
    }
    if let Ok(reply) = reply {
        let _ = reply.result.decode_arguments::<()>();
        Reply::decode(&Message::new(reply.encode())).expect("what is written can be read");
    }
    if let Ok(notification) = notification {
        for format in [Format::V1, Format::V2] {
            Notification::decode(&Message::new(notification.encode(format))).expect("what is written can be read");
        }
    }
    let _ = Envelope::open(message).and_then(|envelope| envelope.fields());
}

#[test]
fn no_body_makes_a_reader_panic() {
    let seeds = seeds();
    let mut random = Random(0x6F73_6C6F);
    for input in 0..INPUTS {
        let bytes = mutated(&seeds, &mut random);
        let message = match (random.below(8), std::str::from_utf8(&bytes)) {
            (0, _) => Message::new(bytes.clone())
                .with_header("compression", ["application/x-gzip", "application/x-bz2", "?"][random.below(3)]),
            (1..4, Ok(content)) => enveloped(content),
            _ => Message::new(bytes.clone()),
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| read(&message, &mut random)));
        assert!(outcome.is_ok(), "input {input}: {}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn mutated_compressed_bodies_are_refused_or_read() {
    let whole = vectors().into_iter().find(|vector| !vector.message.headers.is_empty()).unwrap().message;
    let mut random = Random(0x7A6C_6962);
    for _ in 0..2_000 {
        let mut bytes = whole.body.to_vec();
        let at = random.below(bytes.len());
        bytes[at] = random.byte();
        read(&Message::new(bytes).with_header(compression::HEADER, "application/x-gzip"), &mut random);
    }
}

#[test]
fn a_body_that_is_no_message_is_refused_by_kind() {
    for (body, kind) in [
        ("", ErrorKind::Decode),
        ("null", ErrorKind::Decode),
        ("[]", ErrorKind::Decode),
        ("\"text\"", ErrorKind::Decode),
        ("{}", ErrorKind::Decode),
        ("{} {}", ErrorKind::Decode),
        (r#"{"method": 1}"#, ErrorKind::Decode),
        (r#"{"method": "m", "version": 1}"#, ErrorKind::Decode),
        (r#"{"oslo.version": "2.0", "oslo.message": {"method": "m"}}"#, ErrorKind::Decode),
        (r#"{"oslo.version": 2.0, "oslo.message": "{}"}"#, ErrorKind::Decode),
        (r#"{"oslo.version": "2.0", "oslo.message": "[]"}"#, ErrorKind::Decode),
        (r#"{"oslo.version": "2.1", "oslo.message": "{}"}"#, ErrorKind::UnsupportedVersion),
        (r#"{"oslo.version": "3.0", "oslo.message": "{}"}"#, ErrorKind::UnsupportedVersion),
        (r#"{"oslo.version": "1.0", "oslo.message": "{}"}"#, ErrorKind::UnsupportedVersion),
        (r#"{"oslo.version": "two", "oslo.message": "{}"}"#, ErrorKind::UnsupportedVersion),
    ] {
        assert_eq!(Request::decode(&Message::new(body)).expect_err(body).kind(), kind, "{body}");
        assert_eq!(Reply::decode(&Message::new(body)).expect_err(body).kind(), kind, "{body}");
    }
    let invalid = Message::new(&b"{\"method\": \"\xff\"}"[..]);
    assert_eq!(Request::decode(&invalid).expect_err("not UTF-8").kind(), ErrorKind::Decode);
}

#[test]
fn a_notification_lacks_what_is_not_of_its_type_and_is_read_all_the_same() {
    let odd = r#"{"message_id":7,"priority":null,"event_type":["x"],"timestamp":NaN,"_unique_id":{},"_context_k":1}"#;
    for message in [Message::new(odd), enveloped(odd)] {
        let read = Notification::decode(&message).unwrap();
        assert_eq!((&read.message_id, &read.priority, &read.event_type, &read.timestamp), (&None, &None, &None, &None));
        assert_eq!((read.payload.as_str(), read.unique_id.as_str(), read.context.len()), ("null", "", 1));
    }
    for body in ["", "[]", "null", r#"{"oslo.version":"2.0","oslo.message":"[]"}"#] {
        assert_eq!(Notification::decode(&Message::new(body)).expect_err(body).kind(), ErrorKind::Decode, "{body}");
    }
}

#[test]
fn both_fields_make_an_envelope_and_one_alone_makes_none() {
    let bare = Message::new(r#"{"oslo.version": "9.9", "method": "m", "unknown": [1]}"#);
    let request = Request::decode(&bare).unwrap();
    assert_eq!((request.method.as_str(), request.args.as_str(), request.call), ("m", "{}", None));
    assert_eq!(request.unique_id, "");
}

#[test]
fn of_a_repeated_field_the_last_counts() {
    let text =
        r#"{"method":"a","_context_k":1,"_context_l":2,"args":{"n":1},"method":"b","args":{"n":2},"_context_k":3}"#;
    let request = Request::decode(&enveloped(text)).unwrap();
    assert_eq!((request.method.as_str(), request.args.as_str()), ("b", r#"{"n":2}"#));
    let context: Vec<_> = request.context.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(context, [("k", "3"), ("l", "2")]);
}

#[test]
fn fields_that_only_help_do_not_cost_a_request() {
    for (odd, monitor) in [
        ("2", Some(2.0)),
        ("2.5", Some(2.5)),
        ("null", None),
        ("\"2\"", None),
        ("-1", None),
        ("0", None),
        ("1e400", None),
        ("[2]", None),
        ("NaN", None),
    ] {
        let text = format!(
            r#"{{"method":"m","_msg_id":"i","_reply_q":"q","_timeout":{odd},"_unique_id":7,"_deadline":{odd},"namespace":null}}"#
        );
        let request = Request::decode(&enveloped(&text)).unwrap();
        assert_eq!(request.call.unwrap().monitor, monitor, "{odd}");
        assert_eq!(request.deadline, odd.parse().ok(), "{odd}");
        assert_eq!((request.unique_id.as_str(), request.namespace), ("", None), "{odd}");
    }
}

#[test]
fn a_request_that_nobody_can_answer_is_a_cast() {
    for call in [
        r#""_msg_id":"i""#,
        r#""_reply_q":"q""#,
        r#""_msg_id":"","_reply_q":"q""#,
        r#""_msg_id":"i","_reply_q":"""#,
        r#""_msg_id":null,"_reply_q":"q""#,
    ] {
        let request = Request::decode(&enveloped(&format!(r#"{{"method":"m",{call}}}"#))).unwrap();
        assert_eq!(request.call, None, "{call}");
    }
}

#[test]
fn a_reply_in_two_messages_is_distinguished_from_a_heartbeat() {
    let reply = |text: &str| Reply::decode(&enveloped(text)).unwrap();
    let first = reply(r#"{"_msg_id":"i","result":7,"failure":null,"ending":false}"#);
    let last = reply(r#"{"_msg_id":"i","result":null,"failure":null,"ending":true}"#);
    let beat = reply(r#"{"_msg_id":"i","result":null,"failure":null,"ending":false}"#);
    assert_eq!([&first, &last, &beat].map(Reply::is_heartbeat), [false, false, true]);
    assert_eq!((first.result.as_str(), first.ending, last.ending), ("7", false, true));
    assert!(!reply(r#"{"_msg_id":"i"}"#).ending);
}

#[test]
fn a_failure_is_never_taken_for_a_result() {
    for (failure, shown) in [
        (r#""{\"class\":\"C\",\"module\":\"m\",\"message\":\"text\"}""#, "m.C: text"),
        (r#"{"class":"C","module":"m","message":"text"}"#, "m.C: text"),
        (r#""{\"class\":7,\"message\":[1],\"tb\":5,\"args\":{},\"kwargs\":[],\"more\":0}""#, "unknown: [1]"),
        (r#""{\"message\":NaN}""#, "unknown: null"),
        (r#""no JSON""#, "unknown: no JSON"),
        ("true", "unknown: true"),
    ] {
        let reply = Reply::decode(&enveloped(&format!(r#"{{"_msg_id":"i","failure":{failure}}}"#))).unwrap();
        assert!(!reply.is_heartbeat());
        let failure = reply.failure.unwrap();
        assert_eq!(failure.to_string(), shown);
        assert_eq!((failure.args().as_str(), failure.kwargs().as_str()), ("[]", "{}"));
        assert!(failure.traceback().is_empty());
    }
    for none in ["null", r#""""#] {
        let reply = Reply::decode(&enveloped(&format!(r#"{{"_msg_id":"i","failure":{none},"ending":true}}"#))).unwrap();
        assert_eq!(reply.failure, None);
    }
}

#[test]
fn depth_is_an_error_where_a_type_is_wanted_and_never_a_crash() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    for text in [
        deep.clone(),
        deep.replacen('[', "[NaN,", 1),
        deep.replace('[', r#"{"a":"#).replace(']', "}").replace(":}", ":1}"),
    ] {
        let request =
            Request::decode(&enveloped(&format!(r#"{{"method":"m","args":{{"a":{text}}},"_context_a":{text}}}"#)))
                .unwrap();
        assert_eq!(request.args.decode::<Value>().expect_err("too deep").kind(), ErrorKind::Decode);
        assert_eq!(Request::decode(&Message::new(request.encode())).unwrap(), request);
        let again = Payload::encode(&request.args).unwrap();
        assert_eq!(again, request.args);
    }
    let open = enveloped(&"[".repeat(200_000));
    assert_eq!(Request::decode(&open).expect_err("never closed").kind(), ErrorKind::Decode);
}

#[test]
fn many_repeated_names_take_no_time_to_speak_of() {
    let context: Vec<_> = (0..100_000).map(|n| format!(r#","_context_{}":{n}"#, n % 50_000)).collect();
    let context = context.concat();
    let request = Request::decode(&enveloped(&format!(r#"{{"method":"m"{context}}}"#))).unwrap();
    assert_eq!(request.context.len(), 50_000);
    assert_eq!(request.context[0].1.as_str(), "50000");
}
