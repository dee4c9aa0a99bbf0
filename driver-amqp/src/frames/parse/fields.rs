//! Walks over the fields of a frame, and repairs those that lapin cannot parse.
//!
//! A repair never changes a length, so what follows keeps its place.
//! The walk is a loop with a fixed stack: a message of any nesting costs the same memory.

use std::fmt;
use std::ops::Range;

use super::repairs::Repairs;

/// How deep arrays and tables may be nested; the table of headers is level 1. lapin's parser recurses for each level.
pub(crate) const DEPTH: usize = 64;
/// The type of a byte array, whose content is not parsed.
/// It has the same layout as an array or a table: four bytes of length, then the content. So one byte is all to change.
const OPAQUE: u8 = b'x';
/// Values without names, one behind the other.
const ARRAY: u8 = b'A';
/// Pairs of a short string and a value.
const TABLE: u8 = b'F';

/// Why a frame cannot be decoded. None of these can be repaired.
/// In a method they end the connection; in a content header the properties are emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// A field claims to be longer than the table, array or payload that contains it.
    Short,
    /// The type byte of a value, of a type that lapin cannot parse.
    UnknownType(u8),
    /// So many bytes follow the last field.
    LeftOver(usize),
    /// The payload of a content header still has so many bytes, over the frame limit, after trimming.
    TooLarge(usize),
}

/// A cursor over the payload of one frame. It stays within `end` whatever lengths the bytes claim.
pub(crate) struct Fields<'a> {
    /// The payload of the frame, repaired in place.
    bytes: &'a mut [u8],
    /// Where the next field begins, as an offset in `bytes`.
    at: usize,
    /// The end of the innermost open table, or of the payload.
    end: usize,
    /// Counted for the metric.
    repairs: &'a mut Repairs,
}

/// A table or array that the walk is inside of: one entry of its fixed stack.
#[derive(Clone, Copy)]
struct Level {
    /// Where it ends, as an offset in the payload. Its values must end there exactly.
    end: usize,
    /// Whether its values have names.
    table: bool,
}

impl fmt::Display for Malformed {
    /// In the words that a violation, and the reason of an undecodable message, give to operators.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("a field is longer than what contains it"),
            Self::UnknownType(tag) => write!(f, "a field is of unknown type {:?}", char::from(*tag)),
            Self::LeftOver(bytes) => write!(f, "{bytes} bytes follow the last field"),
            Self::TooLarge(bytes) => write!(f, "its properties take {bytes} bytes, more than a frame may"),
        }
    }
}

impl<'a> Fields<'a> {
    /// A cursor over `bytes` that starts at the offset `at`, which must not exceed their length.
    pub(crate) fn new(bytes: &'a mut [u8], at: usize, repairs: &'a mut Repairs) -> Self {
        Self { at, end: bytes.len(), bytes, repairs }
    }

    /// The offset of the next field, in the bytes that [`new`](Self::new) got.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Checks that the last field ended with the payload.
    /// Fails with `LeftOver`, which has the number of bytes behind it.
    pub(crate) fn finish(&self) -> Result<(), Malformed> {
        match self.end - self.at {
            0 => Ok(()),
            left => Err(Malformed::LeftOver(left)),
        }
    }

    /// Passes over `count` bytes without a look at them, and returns their place in the payload.
    /// Fails with `Short` if fewer bytes are left in the innermost open table.
    pub(crate) fn skip(&mut self, count: usize) -> Result<Range<usize>, Malformed> {
        if count > self.end - self.at {
            return Err(Malformed::Short);
        }
        let range = self.at..self.at + count;
        self.at = range.end;
        Ok(range)
    }

    /// Skips a short string. Each byte in it that is not UTF-8 becomes `?`.
    ///
    /// The range is the text without its length.
    ///
    /// Fails with `Short` if the text claims to be longer than what contains it.
    pub(crate) fn short_string(&mut self) -> Result<Range<usize>, Malformed> {
        let length = usize::from(self.byte()?);
        let range = self.skip(length)?;
        let text = &mut self.bytes[range.clone()];
        // Nearly all are ASCII, which is faster to check.
        if !text.is_ascii() && str::from_utf8(text).is_err() {
            self.repairs.short_strings += 1;
            make_utf8(text);
        }
        Ok(range)
    }

    /// Skips a long string, and returns where it is, without its length of four bytes.
    ///
    /// Not repaired: lapin reads long strings as bytes.
    ///
    /// Fails with `Short` if the string claims to be longer than what contains it.
    pub(crate) fn long_string(&mut self) -> Result<Range<usize>, Malformed> {
        let length = self.length()?;
        self.skip(length)
    }

    /// Skips a table with everything in it. What is nested beyond [`DEPTH`] becomes a byte array.
    ///
    /// Fails with `Short` or `UnknownType`. What was repaired before stays repaired.
    pub(crate) fn table(&mut self) -> Result<(), Malformed> {
        let outside = self.end;
        let outermost = self.open(true)?;
        // An empty table needs no stack of levels.
        if self.at < outermost.end {
            self.entries(outermost)?;
        }
        self.end = outside;
        Ok(())
    }

    /// Skips the entries of a table in a loop: recursion would let a peer choose the depth of the stack.
    ///
    /// Fails with `Short` or `UnknownType`, at whatever level the value is.
    fn entries(&mut self, outermost: Level) -> Result<(), Malformed> {
        // On the stack and of fixed size: no allocation, whatever a peer sends.
        let mut levels = [outermost; DEPTH];
        let mut depth = 0;
        loop {
            let level = levels[depth];
            if self.at == level.end {
                let Some(outer) = depth.checked_sub(1) else { break };
                depth = outer;
                self.end = levels[depth].end;
                continue;
            }
            if level.table {
                self.short_string()?;
            }
            let tag = self.byte()?;
            match tag {
                ARRAY | TABLE if depth + 1 < DEPTH => {
                    depth += 1;
                    levels[depth] = self.open(tag == TABLE)?;
                }
                ARRAY | TABLE => {
                    self.repairs.too_deep += 1;
                    self.bytes[self.at - 1] = OPAQUE;
                    self.long_string()?;
                }
                _ => self.plain(tag)?,
            }
        }
        Ok(())
    }

    /// Skips a value that contains no other values.
    ///
    /// Fails with `Short`, or with `UnknownType` for a type that lapin cannot parse.
    fn plain(&mut self, tag: u8) -> Result<(), Malformed> {
        let length = match plain_length(tag) {
            Some(length) => length,
            None if matches!(tag, b'S' | OPAQUE) => self.length()?,
            None => return Err(Malformed::UnknownType(tag)),
        };
        self.skip(length).map(drop)
    }

    /// Enters a table or array: until it ends, nothing behind it can be read.
    ///
    /// Fails with `Short` if it claims to be longer than what contains it.
    fn open(&mut self, table: bool) -> Result<Level, Malformed> {
        let length = self.length()?;
        if length > self.end - self.at {
            return Err(Malformed::Short);
        }
        self.end = self.at + length;
        Ok(Level { end: self.end, table })
    }

    /// The next byte. Fails with `Short` at the end of the innermost open table.
    fn byte(&mut self) -> Result<u8, Malformed> {
        let range = self.skip(1)?;
        Ok(self.bytes[range.start])
    }

    /// The length in front of a string, table or array: four bytes in network order.
    /// Fails with `Short` if fewer bytes are left.
    fn length(&mut self) -> Result<usize, Malformed> {
        let range = self.skip(4)?;
        Ok(u32_at(self.bytes, range.start) as usize)
    }
}

/// The length of a value of type `tag`, if the type has a fixed length.
/// The types are those that RabbitMQ writes and lapin parses.
///
/// `None` also for types that do not exist, so a caller must check the type first.
pub(crate) fn plain_length(tag: u8) -> Option<usize> {
    match tag {
        b'V' => Some(0),
        b't' | b'b' | b'B' => Some(1),
        b's' | b'U' | b'u' => Some(2),
        b'I' | b'i' | b'f' => Some(4),
        b'D' => Some(5),
        b'L' | b'l' | b'd' | b'T' => Some(8),
        _ => None,
    }
}

/// A number in network order; 0 if fewer than four bytes follow `at`, which must not exceed the length.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// A number in network order; 0 if fewer than two bytes follow `at`, which must not exceed the length.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes[at..].first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes))
}

/// A number in network order; 0 if fewer than eight bytes follow `at`, which must not exceed the length.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Replaces each byte that is not part of a UTF-8 character by `?`.
/// The length stays the same, because each byte is replaced by one.
fn make_utf8(text: &mut [u8]) {
    let mut from = 0;
    while let Err(error) = str::from_utf8(&text[from..]) {
        let bad = from + error.valid_up_to();
        let next = error.error_len().map_or(text.len(), |length| bad + length);
        text[bad..next].fill(b'?');
        from = next;
    }
}
