//! Content headers: the properties of a message.

use std::ops::Range;

use super::fields::{Fields, Malformed, u16_at, u64_at};
use super::repairs::Repairs;
use super::violation::Violation;

/// What precedes the properties in the payload: class, weight, size of the body, and which properties there are.
pub(crate) const FIXED: usize = 14;
/// Where the flags are that say which properties there are.
const FLAGS: usize = 12;
const BODY_SIZE: usize = 4;

/// The properties in their order, the first at the highest bit of the flags: `s` is a short string, `T` a table, a digit
/// as many bytes.
const PROPERTIES: &[u8; 14] = b"ssT11ssss8ssss";
const HEADERS: usize = 2;
const MESSAGE_ID: usize = 8;

/// Where things are in a content header that was judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// The table of headers, with its length in front.
    pub(crate) headers: Option<Range<usize>>,
    pub(crate) message_id: Option<Range<usize>>,
}

impl Header {
    /// Repairs the properties in `payload`.
    ///
    /// # Errors
    /// They cannot be decoded.
    pub(crate) fn repair(payload: &mut [u8], repairs: &mut Repairs) -> Result<Self, Malformed> {
        let flags = u16_at(payload, FLAGS);
        let mut header = Self::default();
        let mut fields = Fields::new(payload, FIXED, repairs);
        for (index, kind) in PROPERTIES.iter().enumerate() {
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

/// The size of the body that follows.
///
/// # Errors
/// The payload ends before its properties.
pub(crate) fn body_size(payload: &[u8]) -> Result<u64, Violation> {
    if payload.len() < FIXED { Err(Violation::Header) } else { Ok(u64_at(payload, BODY_SIZE)) }
}

/// Takes all properties out of `payload`; returns how much of it is left.
pub(crate) fn empty(payload: &mut [u8]) -> usize {
    payload[FLAGS..FIXED].fill(0);
    FIXED
}
