//! The layout of each method of AMQP 0-9-1, by which a method frame is checked and repaired.
//!
//! Layouts are text, one letter or digit per field, and one walk serves all of them.
//! A method that lapin does not know must not reach it, so an unknown one is a violation.

use std::ops::Range;

use super::fields::{Fields, Malformed, u16_at};
use super::repairs::Repairs;
use super::violation::Violation;

/// The bytes before the first field: class and method. Two numbers of 16 bits, in network order.
pub(crate) const IDS: usize = 4;
/// The first method of a broker; its first table has the server properties.
pub(crate) const CONNECTION_START: (u16, u16) = (10, 10);
/// Limits: channels, frame size in bytes, heartbeat in seconds.
pub(crate) const CONNECTION_TUNE: (u16, u16) = (10, 30);
/// From here on the channel number belongs to a new channel.
pub(crate) const CHANNEL_OPEN_OK: (u16, u16) = (20, 11);
/// Reply code, reply text, exchange, routing key; a content follows.
pub(crate) const BASIC_RETURN: (u16, u16) = (60, 50);
/// Consumer tag, delivery tag, redelivered, exchange, routing key; a content follows.
pub(crate) const BASIC_DELIVER: (u16, u16) = (60, 60);

/// The class and the method of `payload`, as the numbers of AMQP 0-9-1: 60 and 60 for basic.deliver.
///
/// Fails if `payload` has fewer than four bytes.
pub(crate) fn ids(payload: &[u8]) -> Result<(u16, u16), Violation> {
    match payload {
        [_, _, _, _, ..] => Ok((u16_at(payload, 0), u16_at(payload, 2))),
        _ => Err(Violation::Method { class: 0, method: 0, why: Malformed::Short }),
    }
}

/// Repairs the method in `payload` in place. Stores the ranges of its first four strings or tables in `strings`.
///
/// The length does not change, so the offsets in `strings` stay valid.
/// A method with fewer strings leaves the other ranges as they were.
///
/// Fails if the method cannot be decoded, or lapin does not know it.
pub(crate) fn repair(
    (class, method): (u16, u16),
    payload: &mut [u8],
    repairs: &mut Repairs,
    strings: &mut [Range<usize>; 4],
) -> Result<(), Violation> {
    let layout = layout(class, method).ok_or(Violation::UnknownMethod { class, method })?;
    let mut fields = Fields::new(payload, IDS, repairs);
    walk(layout, &mut fields, strings).map_err(|why| Violation::Method { class, method, why })
}

/// Skips the fields of `layout` in order. Fails if a field exceeds the payload,
/// has an unknown type, or bytes are left behind the last field.
fn walk(layout: &[u8], fields: &mut Fields<'_>, strings: &mut [Range<usize>; 4]) -> Result<(), Malformed> {
    let mut strings = strings.iter_mut();
    for field in layout {
        let range = match field {
            b's' => fields.short_string()?,
            b'S' => fields.long_string()?,
            b'T' => {
                let start = fields.at();
                fields.table()?;
                start..fields.at()
            }
            width => {
                fields.skip(usize::from(width - b'0'))?;
                continue;
            }
        };
        if let Some(string) = strings.next() {
            *string = range;
        }
    }
    fields.finish()
}

/// The fields of a method: `s` is a short string, `S` a long one, `T` a table, a digit so many bytes.
/// Up to eight adjacent bits are one byte. The list is that of lapin's parser,
/// which accepts methods of clients from a server too.
///
/// `None` for a class or method that lapin does not know.
#[allow(clippy::match_same_arms, reason = "in the order of the protocol")]
fn layout(class: u16, method: u16) -> Option<&'static [u8]> {
    Some(match (class, method) {
        (10, 10) => b"11TSS",
        (10, 11) => b"TsSs",
        (10, 20 | 21) => b"S",
        (10, 30 | 31) => b"242",
        (10, 40) => b"ss1",
        (10, 41 | 60) => b"s",
        (10, 50) | (20, 40) => b"2s22",
        (10, 51 | 61 | 71) => b"",
        (10, 70) => b"Ss",
        (20, 10) => b"s",
        (20, 11) => b"S",
        (20, 20 | 21) => b"1",
        (20, 41) => b"",
        (30, 10) => b"s1",
        (30, 11) => b"2",
        (40, 10) => b"2ss1T",
        (40, 11 | 21 | 31 | 51) => b"",
        (40, 20) => b"2s1",
        (40, 30 | 40) => b"2sss1T",
        (50, 10) => b"2s1T",
        (50, 11) => b"s44",
        (50, 20) => b"2sss1T",
        (50, 21 | 51) => b"",
        (50, 30 | 40) => b"2s1",
        (50, 31 | 41) => b"4",
        (50, 50) => b"2sssT",
        _ => return content_layout(class, method),
    })
}

/// As [`layout`], for the classes that handle messages.
#[allow(clippy::match_same_arms, reason = "in the order of the protocol")]
fn content_layout(class: u16, method: u16) -> Option<&'static [u8]> {
    Some(match (class, method) {
        (60, 10) => b"421",
        (60, 11 | 111) => b"",
        (60, 20) => b"2ss1T",
        (60, 21 | 31 | 72) => b"s",
        (60, 30) => b"s1",
        (60, 40) => b"2ss1",
        (60, 50) => b"2sss",
        (60, 60) => b"s81ss",
        (60, 70) => b"2s1",
        (60, 71) => b"81ss4",
        (60, 80 | 90 | 120) => b"81",
        (60, 100 | 110) => b"1",
        (85, 10) => b"1",
        (85, 11) => b"",
        (90, 10 | 11 | 20 | 21 | 30 | 31) => b"",
        _ => return None,
    })
}
