//! Content headers: where the properties of a message are, and how they are repaired or removed.

use std::ops::Range;

use super::fields::{Fields, Malformed, u16_at, u64_at};
use super::repairs::Repairs;
use super::violation::Violation;

/// The fixed part of the payload, in bytes: class, weight, body size and property flags.
pub(crate) const FIXED: usize = 14;
/// The offset of the property flags. One bit per property, the first one highest.
/// The lowest bit would announce further flags; the basic class has too few properties to need them.
const FLAGS: usize = 12;
/// The offset of the body size, 64 bits behind class and weight.
const BODY_SIZE: usize = 4;

/// The types of the properties in order, the first at the highest bit of the flags:
/// `s` is a short string, `T` a table, a digit so many bytes.
const PROPERTIES: &[u8; 14] = b"ssT11ssss8ssss";
/// The place of the header table among the properties. Only this one can be shortened, see `trim`.
const HEADERS: usize = 2;
/// The place of the message id among the properties. It identifies a returned message.
const MESSAGE_ID: usize = 8;

/// Where a repaired content header has what the reader needs, as offsets in its payload. `None` for an unset property.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// The table of headers, with its length in front.
    pub(crate) headers: Option<Range<usize>>,
    /// The text without its length.
    pub(crate) message_id: Option<Range<usize>>,
}

impl Header {
    /// Repairs the properties in `payload` in place.
    ///
    /// The length of the payload does not change. `payload` must have its fixed part.
    ///
    /// Fails if the properties cannot be decoded. What was repaired before stays repaired.
    pub(crate) fn repair(payload: &mut [u8], repairs: &mut Repairs) -> Result<Self, Malformed> {
        let flags = u16_at(payload, FLAGS);
        let mut header = Self::default();
        let mut fields = Fields::new(payload, FIXED, repairs);
        for (index, kind) in PROPERTIES.iter().enumerate() {
            // The first property has the highest bit.
            if flags & (1 << (15 - index)) == 0 {
                continue;
            }
            let start = fields.at();
            match kind {
                b's' => {
                    let text = fields.short_string()?;
                    if index == MESSAGE_ID {
                        header.message_id = Some(text);
                    }
                }
                b'T' => fields.table()?,
                width => {
                    fields.skip(usize::from(width - b'0'))?;
                }
            }
            if index == HEADERS {
                header.headers = Some(start..fields.at());
            }
        }
        fields.finish()?;
        Ok(header)
    }
}

/// The size of the body that follows, in bytes, over all its frames.
///
/// Fails if the payload ends before its properties.
pub(crate) fn body_size(payload: &[u8]) -> Result<u64, Violation> {
    if payload.len() < FIXED { Err(Violation::Header) } else { Ok(u64_at(payload, BODY_SIZE)) }
}

/// Removes all properties from `payload`; returns the length that is left.
/// The body size stays, so the body frames that follow still belong to the message.
pub(crate) fn empty(payload: &mut [u8]) -> usize {
    payload[FLAGS..FIXED].fill(0);
    FIXED
}
