//! Removes headers from a message whose content header exceeds the frame limit.
//!
//! RabbitMQ adds `x-death` entries to a message without a look at the frame limit,
//! so it can send a content header that exceeds it.
//! The properties themselves are never touched here.

use std::ops::Range;

use super::fields::{plain_length, u32_at};

/// Headers that a broker adds each time that it moves a message to another queue: they are removed first.
/// The first is a whole name, the others are prefixes.
const HISTORY: [&str; 3] = ["x-death", "x-first-death-", "x-last-death-"];
/// Headers that this driver or `oslo-messaging` reads: they are never removed.
const KEPT: [&str; 3] = ["compression", "x-delivery-count", "x-stream-offset"];
/// The headers with which `oslo-messaging` describes a dead letter.
const KEPT_PREFIX: &str = "oslo.dead.";

/// Removes headers from `payload`, which is repaired:
/// first the history that brokers add, then all that nothing here reads.
/// Returns the length of the payload, which may still exceed `room`.
///
/// `headers` is the range of the table with its length in front.
/// History goes only as a whole, and other headers only if that was not enough.
pub(crate) fn trim(payload: &mut [u8], headers: Range<usize>, room: usize) -> usize {
    let (mut length, mut headers) = (payload.len(), headers);
    for goes in [is_history as fn(&[u8]) -> bool, is_foreign] {
        // Only as much as needed: the second round is skipped if the first was enough.
        if length > room {
            let removed = retain(&mut payload[..length], headers.clone(), goes);
            length -= removed;
            headers.end -= removed;
        }
    }
    length
}

/// Removes the entries that `goes` selects and closes the gap; returns how many bytes were removed.
/// The length in front of the table is corrected. Properties behind the table move forward with the gap.
fn retain(payload: &mut [u8], headers: Range<usize>, goes: fn(&[u8]) -> bool) -> usize {
    // Behind the length of the table.
    let (mut from, mut to) = (headers.start + 4, headers.start + 4);
    while let Some(entry) = entry(payload, from, headers.end) {
        if !goes(&payload[entry.name]) {
            payload.copy_within(from..entry.end, to);
            to += entry.end - from;
        }
        from = entry.end;
    }
    payload.copy_within(from.., to);
    let removed = from - to;
    let table = u32::try_from(to - headers.start - 4).unwrap_or(u32::MAX);
    payload[headers.start..headers.start + 4].copy_from_slice(&table.to_be_bytes());
    removed
}

/// Offsets in the payload: of the name without its length, and of the end of the value.
struct Entry {
    /// Without its length. It need not be UTF-8.
    name: Range<usize>,
    /// Where the next entry begins, or the table ends.
    end: usize,
}

/// The entry at `from`; `None` at the end of the table.
/// The table was checked when it was repaired, so every length in it is within the payload.
fn entry(payload: &[u8], from: usize, end: usize) -> Option<Entry> {
    if from >= end {
        return None;
    }
    let name = from + 1..from + 1 + usize::from(payload[from]);
    // Behind the type byte.
    let value = name.end + 1;
    let length = plain_length(payload[name.end]).unwrap_or_else(|| 4 + u32_at(payload, value) as usize);
    Some(Entry { name, end: value + length })
}

/// Compared byte by byte, because names need not be UTF-8.
fn is_history(name: &[u8]) -> bool {
    name == HISTORY[0].as_bytes() || HISTORY[1..].iter().any(|prefix| name.starts_with(prefix.as_bytes()))
}

/// Everything that neither this driver nor `oslo-messaging` reads.
fn is_foreign(name: &[u8]) -> bool {
    !name.starts_with(KEPT_PREFIX.as_bytes()) && KEPT.iter().all(|kept| name != kept.as_bytes())
}
