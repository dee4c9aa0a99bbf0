//! The frame reader on streams that are put together here.

use super::{Concern, Frame, Kind, Method, PROTOCOL_HEADER, frame_at, frames};
use testkit::proxy::Direction::{FromBroker, ToBroker};

/// A frame of `kind` (its number) on `channel`.
fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).expect("it is short");
    let mut bytes = vec![kind];
    bytes.extend(channel.to_be_bytes());
    bytes.extend(size.to_be_bytes());
    bytes.extend(payload);
    bytes.push(0xCE);
    bytes
}

fn method(channel: u16, Method(class, number): Method, arguments: &[u8]) -> Vec<u8> {
    frame(1, channel, &[&class.to_be_bytes(), &number.to_be_bytes(), arguments].concat())
}

fn kinds(bytes: &[u8]) -> Vec<Kind> {
    frames(bytes).iter().map(|frame| frame.kind).collect()
}

pub(crate) fn a_stream_is_read_frame_by_frame() {
    let start_ok = Method(10, 11);
    let parts = [
        PROTOCOL_HEADER.to_vec(),
        method(0, start_ok, b"plain"),
        method(1, Method::PUBLISH, b"where"),
        frame(2, 1, b"properties"),
        frame(3, 1, b"one"),
        frame(3, 1, b"two"),
        frame(8, 0, b""),
    ];
    let expected = [
        Kind::ProtocolHeader,
        Kind::Method(start_ok),
        Kind::Method(Method::PUBLISH),
        Kind::Header(Method::PUBLISH),
        Kind::Body(Method::PUBLISH),
        Kind::Body(Method::PUBLISH),
        Kind::Heartbeat,
    ];
    let bytes = parts.concat();
    assert_eq!(kinds(&bytes), expected);
    let mut end = 0;
    for (frame, part) in frames(&bytes).iter().zip(&parts) {
        assert_eq!((frame.start, frame.end), (end, end + part.len()));
        end = frame.end;
    }
}

pub(crate) fn a_content_belongs_to_the_last_method_of_its_own_channel() {
    let bytes = [
        method(1, Method::DELIVER, b""),
        method(2, Method::RETURN, b""),
        frame(2, 1, b""),
        frame(2, 2, b""),
        frame(3, 2, b"returned"),
        frame(3, 1, b"delivered"),
    ];
    assert_eq!(
        kinds(&bytes.concat())[2..],
        [
            Kind::Header(Method::DELIVER),
            Kind::Header(Method::RETURN),
            Kind::Body(Method::RETURN),
            Kind::Body(Method::DELIVER),
        ]
    );
}

pub(crate) fn an_acknowledgement_of_the_broker_is_a_confirm() {
    let concern = |kind, direction| Frame { start: 0, end: 1, kind }.concern(direction);
    assert_eq!(concern(Kind::Method(Method::ACK), FromBroker), Concern::Confirm);
    assert_eq!(concern(Kind::Method(Method::ACK), ToBroker), Concern::Acknowledgement);
    assert_eq!(concern(Kind::Body(Method::PUBLISH), ToBroker), Concern::Publish);
    assert_eq!(concern(Kind::Header(Method::DELIVER), FromBroker), Concern::Delivery);
    assert_eq!(concern(Kind::Header(Method::RETURN), FromBroker), Concern::Other);
    assert_eq!(concern(Kind::Method(Method(50, 10)), ToBroker), Concern::Other);
    assert_eq!(concern(Kind::Heartbeat, ToBroker), Concern::Other);
}

pub(crate) fn every_offset_lies_in_one_frame_and_the_torn_one_is_known() {
    let parts = [method(1, Method::PUBLISH, b"a"), frame(2, 1, b"b"), method(1, Method::ACK, b"c")];
    let bytes = parts.concat();
    let whole = frames(&bytes);
    for offset in 0..bytes.len() {
        let frame = frame_at(&whole, offset).expect("it is within the stream");
        assert_eq!(frame.is_torn_by(offset), offset != frame.start, "{offset}");
        // What is left of the stream tells as much of all frames but the last.
        let torn = frames(&bytes[..offset]);
        let known = torn.split_last().map_or(&[][..], |(_, known)| known);
        assert_eq!(known, &whole[..known.len()], "{offset}");
    }
    assert_eq!(frame_at(&whole, bytes.len()), None);
}

pub(crate) fn what_is_too_short_to_be_known_is_not_guessed() {
    let publish = method(1, Method::PUBLISH, b"");
    assert_eq!(kinds(&publish[..3]), [Kind::Unknown]);
    assert_eq!(kinds(&publish[..10]), [Kind::Unknown]);
    assert_eq!(kinds(&publish[..11]), [Kind::Method(Method::PUBLISH)]);
    assert_eq!(kinds(&frame(2, 7, b"without a method")), [Kind::Unknown]);
    assert_eq!(kinds(b""), []);
}
