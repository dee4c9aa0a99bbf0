//! Repairs: each kind of damage, and what lapin reads of it afterwards.

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame};
use amq_protocol::types::{AMQPValue, ShortString};

use super::{parse, read, read_well};
use crate::frames::check::build::*;
use crate::frames::parse::fields::{DEPTH, Malformed};
use crate::frames::parse::violation::Violation;
use crate::frames::report::{Report, Returned};
use crate::frames::version::ServerVersion;

/// Latin-1, the usual cause of bytes that are not UTF-8.
const BAD: &[u8] = b"caf\xe9";

/// The content header of a message whose reading reports nothing.
fn content(frames: &[Vec<u8>]) -> AMQPContentHeader {
    let (output, reports) = read_well(frames);
    assert_eq!(reports, []);
    match parse(&output).pop() {
        Some(AMQPFrame::Header(_, header)) => header,
        other => panic!("{other:?}"),
    }
}

/// A reader that changed sound frames would be worse than none.
/// The list has every kind of frame, and nesting up to the limit.
#[test]
fn what_lapin_can_take_is_not_touched() {
    let entries: Vec<(&[u8], Vec<u8>)> = vec![
        (b"text", text("caf\u{e9}".as_bytes())),
        (b"bytes", text(BAD)),
        (b"count", [b"l", &7_i64.to_be_bytes()[..]].concat()),
        (b"void", b"V".to_vec()),
        (b"deep", nested(DEPTH - 1, true)),
        (b"deep", nested(DEPTH - 1, false)),
    ];
    let frames = [
        start(&[(b"version", text(b"4.0.5")), (b"capabilities", nested(3, true))]),
        tune(131_072),
        deliver(1, 1),
        headers(1, 3, &entries),
        deliver(2, 1),
        body(1, b"one"),
        header(2, 0, 0, &[]),
        ack(3, 1),
        frame(8, 0, b""),
        method(1, (60, 30), &[&short(b"1"), &[0]]),
    ];
    let (output, reports) = read_well(&frames);
    assert_eq!(output, frames.concat());
    assert_eq!(parse(&output).len(), frames.len());
    assert_eq!(reports, [Report::Server(ServerVersion { major: 4, minor: 0, patch: 5 })]);
}

/// Ten properties are short strings, and any publisher can set each of them.
#[test]
fn every_short_string_that_is_not_utf_8_is_read_with_a_question_mark_for_each_bad_byte() {
    // The bit of each property that is a short string, from the highest.
    for index in [0, 1, 5, 6, 7, 8, 10, 11, 12, 13] {
        let header = content(&[deliver(1, 1), header(1, 0, 1 << (15 - index), &[&short(b"a\xff\xfe\xc3")])]);
        let properties = header.properties;
        let texts = [
            properties.content_type(),
            properties.content_encoding(),
            properties.correlation_id(),
            properties.reply_to(),
            properties.expiration(),
            properties.message_id(),
            properties.kind(),
            properties.user_id(),
            properties.app_id(),
            properties.cluster_id(),
        ];
        let set: Vec<&str> = texts.iter().filter_map(|text| text.as_ref().map(ShortString::as_str)).collect();
        assert_eq!(set, ["a???"], "property {index}");
    }
    let (output, _) = read_well(&[method(1, (60, 60), &[&short(BAD), &[0; 8], &[0], &short(BAD), &short(BAD)])]);
    assert_eq!(output, method(1, (60, 60), &[&short(b"caf?"), &[0; 8], &[0], &short(b"caf?"), &short(b"caf?")]));
}

/// Names are short strings at every level. Values are long strings, which may hold any bytes.
#[test]
fn the_name_of_a_header_is_repaired_wherever_it_is_nested() {
    let inner = [b"F", &table(&[(BAD, text(BAD))])[..]].concat();
    let array = [b"A", &long(&inner)[..]].concat();
    let header = content(&[deliver(1, 1), headers(1, 0, &[(BAD, inner), (b"list", array)])]);
    let headers = header.properties.headers().as_ref().expect("there are some").inner();
    let AMQPValue::FieldTable(inner) = &headers["caf?"] else { panic!("{headers:?}") };
    assert_eq!(inner.inner()["caf?"], AMQPValue::LongString(BAD.into()), "long strings are bytes");
    let AMQPValue::FieldArray(list) = &headers["list"] else { panic!("{headers:?}") };
    let AMQPValue::FieldTable(inner) = &list.as_slice()[0] else { panic!("{list:?}") };
    assert!(inner.contains_key("caf?"));
}

/// Nested as deep as would overflow the stack of a parser that calls itself, in a message and in the greeting.
#[test]
fn what_is_nested_too_deeply_becomes_bytes_and_keeps_its_length() {
    for tables in [false, true] {
        for depth in [DEPTH, DEPTH + 1, 1_200] {
            let greeting = start(&[(b"n", nested(depth, tables)), (b"version", text(b"3.10.8"))]);
            let message = headers(1, 0, &[(b"n", nested(depth, tables)), (b"last", text(b"kept"))]);
            let frames = [greeting, deliver(1, 1), message];
            let (output, reports) = read_well(&frames);
            assert_eq!(output.len(), frames.concat().len());
            assert_eq!(reports, [Report::Server(ServerVersion { major: 3, minor: 10, patch: 8 })]);
            let Some(AMQPFrame::Header(_, header)) = parse(&output).pop() else { panic!("no header") };
            let headers = header.properties.headers().as_ref().expect("there are some").inner();
            assert_eq!(headers["last"], AMQPValue::LongString("kept".into()));
        }
    }
}

/// Checks what every trimmed message keeps: its other properties, its body and its size.
fn oversized(entries: &[(&[u8], Vec<u8>)]) -> AMQPContentHeader {
    let properties = [&table(entries)[..], &[2], &short(b"id")].concat();
    let frames =
        [tune(8_192), deliver(1, 1), header(1, 3, 1 << 13 | 1 << 12 | 1 << 7, &[&properties]), body(1, b"one")];
    let (output, reports) = read_well(&frames);
    assert_eq!(reports, []);
    let mut parsed = parse(&output);
    assert_eq!(parsed.pop(), Some(AMQPFrame::Body(1, b"one".to_vec())));
    let Some(AMQPFrame::Header(1, header)) = parsed.pop() else { panic!("{parsed:?}") };
    assert!(output.len() - frames[0].len() - frames[1].len() - frames[3].len() <= 8_192);
    assert_eq!((header.class_id, header.body_size), (60, 3));
    assert_eq!(header.properties.delivery_mode(), &Some(2));
    assert_eq!(header.properties.message_id().as_ref().map(ShortString::as_str), Some("id"));
    header
}

/// In the order of the table that lapin parsed, which is sorted.
fn names(header: &AMQPContentHeader) -> Vec<&str> {
    header.properties.headers().as_ref().expect("there are some").inner().keys().map(ShortString::as_str).collect()
}

/// RabbitMQ adds to `x-death` each time that a message is dead-lettered.
#[test]
fn a_header_over_the_frame_limit_loses_first_what_brokers_added() {
    let death: (&[u8], Vec<u8>) = (b"x-death", nested(40, true));
    let first: (&[u8], Vec<u8>) = (b"x-first-death-queue", text(b"src"));
    let mine: (&[u8], Vec<u8>) = (b"mine", text(&[b'h'; 8_000]));
    let header = oversized(&[death, (b"compression", text(b"gzip")), mine, first]);
    assert_eq!(names(&header), ["compression", "mine"]);
}

/// The four headers decide about the delivery limit, the decompression, the stream position and dead letters.
#[test]
fn a_header_over_the_frame_limit_without_its_history_keeps_what_is_read_here() {
    let entries: Vec<(&[u8], Vec<u8>)> = vec![
        (b"a", text(&[b'a'; 5_000])),
        (b"compression", text(b"gzip")),
        (b"b", text(&[b'b'; 5_000])),
        (b"oslo.dead.reason", text(b"failed")),
        (b"x-delivery-count", [b"l", &7_i64.to_be_bytes()[..]].concat()),
        (b"x-stream-offset", [b"l", &7_i64.to_be_bytes()[..]].concat()),
        (b"x-death", nested(3, false)),
    ];
    let header = oversized(&entries);
    assert_eq!(names(&header), ["compression", "oslo.dead.reason", "x-delivery-count", "x-stream-offset"]);
}

/// Neither the message nor its neighbours are lost, and its reader learns that it is not sound.
#[test]
fn properties_that_cannot_be_decoded_are_emptied_and_reported() {
    let too_long = [b"S", &[0, 0, 0, 9][..], b"12345678"].concat();
    let kept = vec![(&b"oslo.dead.detail"[..], text(&[b'x'; 9_000]))];
    for (properties, flags, reason) in [
        (table(&[(b"n", b"Z".to_vec())]), 1 << 13, Malformed::UnknownType(b'Z')),
        (table(&[(b"n", too_long.clone())]), 1 << 13, Malformed::Short),
        (table(&[(b"n", [b"A", &long(&too_long)[..]].concat())]), 1 << 13, Malformed::Short),
        (short(b"json"), 0, Malformed::LeftOver(5)),
        (vec![200, 1], 1 << 15, Malformed::Short),
        (table(&kept), 1 << 13, Malformed::TooLarge(9_040)),
    ] {
        let frames = [tune(8_192), deliver(7, 9), header(7, 2, flags, &[&properties]), body(7, b"it"), ack(1, 1)];
        let (output, reports) = read_well(&frames);
        assert_eq!(output, [&frames[..2].concat()[..], &header(7, 2, 0, &[]), &frames[3], &frames[4]].concat());
        let undecodable = Report::Undecodable { channel: 7, delivery_tag: 9, reason: reason.to_string() };
        assert_eq!(reports, [undecodable], "{properties:?}");
    }
}

/// Another channel's delivery comes between the returns, and frames on both sides stay.
#[test]
fn a_returned_message_is_taken_out_whole_and_reported() {
    let mut frames = vec![ack(1, 1)];
    frames.extend(returned(1, b"one", b"secret"));
    frames.extend([ack(1, 2), deliver(2, 1)]);
    frames.extend(returned(1, b"two", b""));
    frames.extend([headers(2, 4, &[]), body(2, b"body")]);
    let (output, reports) = read_well(&frames);
    let rest = [ack(1, 1), ack(1, 2), deliver(2, 1), headers(2, 4, &[]), body(2, b"body")];
    assert_eq!(output, rest.concat());
    let report = |id: &str| {
        let returned = Returned { message_id: id.into(), code: 312, text: "NO_ROUTE".into() };
        Report::Returned { channel: 1, returned }
    };
    assert_eq!(reports, [report("one"), report("two")]);
}

/// Each text must tell an operator what to look for, because the peer may not be RabbitMQ at all.
#[test]
fn what_cannot_be_repaired_ends_the_connection_with_a_reason() {
    let mut no_end = ack(1, 1);
    *no_end.last_mut().unwrap() = 0;
    let mut endless_body = body(1, b"body");
    *endless_body.last_mut().unwrap() = 0;
    let mut huge = header(1, 0, 0, &[]);
    huge[3..7].copy_from_slice(&(1_u32 << 20).to_be_bytes());
    let cut = method(1, (60, 60), &[&short(b"1"), &[0; 8]]);
    let unreturned = returned(1, b"one", b"body").remove(0);
    let over_limit = Violation::TooLarge { kind: "body", bytes: 8_193, limit: 8_192 };
    for (frames, violation, words) in [
        (vec![b"HTTP/1.1 400".to_vec()], Violation::FrameType(b'H'), "does not speak AMQP"),
        (vec![b"AMQQ".to_vec()], Violation::FrameType(b'A'), "does not speak AMQP"),
        (vec![no_end], Violation::FrameEnd { kind: "method" }, "does not end"),
        (vec![endless_body], Violation::FrameEnd { kind: "body" }, "does not end"),
        (
            vec![huge],
            Violation::TooLarge { kind: "content header", bytes: (1 << 20) + 8, limit: 1 << 20 },
            "content header frame of 1048584 bytes",
        ),
        (vec![tune(8_192), body(1, &[0; 8_185])], over_limit, "over the limit of 8192"),
        (vec![cut], Violation::Method { class: 60, method: 60, why: Malformed::Short }, "60.60 cannot be decoded"),
        (vec![method(1, (60, 99), &[])], Violation::UnknownMethod { class: 60, method: 99 }, "no method 60.99"),
        (vec![frame(2, 1, &[0; 13])], Violation::Header, "content header"),
        (
            vec![unreturned, deliver(1, 1)],
            Violation::Unexpected { channel: 1, kind: "method" },
            "instead of the rest of a returned message",
        ),
        (vec![tune(4_096)], Violation::FrameMax(4_096), "frame_max of 4096 bytes is too small"),
    ] {
        let (_, _, found) = read(&frames);
        assert!(violation.to_string().contains(words), "{violation}");
        assert_eq!(found, Some(violation), "{frames:?}");
    }
}

/// lapin's own limit stays in force for a broker without one, or with a larger one.
#[test]
fn the_server_s_limit_counts_unless_it_has_none() {
    for (frame_max, bytes, fits) in [
        (0, 131_072, true),
        (0, 131_073, false),
        (1 << 30, 131_072, true),
        (1 << 30, 131_073, false),
        (16_384, 16_384, true),
        (16_384, 16_385, false),
    ] {
        let (_, _, violation) = read(&[tune(frame_max), body(1, &vec![0; bytes - 8])]);
        assert_eq!(violation.is_none(), fits, "{frame_max} {bytes}");
    }
}

/// lapin ends the handshake with an error of its own for it.
#[test]
fn another_protocol_that_the_server_names_is_passed_on() {
    let (output, _) = read_well(&[b"AMQP\0\0\x09\x01".to_vec()]);
    assert_eq!(parse(&output).len(), 1);
}
