//! The release of the broker, as its `connection.start` names it. lapin reads that and keeps it to itself.

use std::sync::{Arc, OnceLock};

/// A greeting is far shorter: what goes on beyond this is not looked at.
const LONGEST: usize = 64 * 1024;
/// Type, channel and size of a frame.
const FRAME_HEAD: usize = 7;
/// Class and method of `connection.start`.
const START: [u8; 4] = [0, 10, 0, 10];

/// The release of a broker, as far as it decides what the broker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ServerVersion {
    pub(crate) major: u16,
}

/// Where the release is found once the greeting was read; empty before, and for ever if the greeting names none.
pub(crate) type SeenVersion = Arc<OnceLock<ServerVersion>>;

/// Reads the first frame that a broker sends, beside the one who really reads it.
#[derive(Debug)]
pub(crate) struct GreetingReader {
    /// What came so far; `None` once nothing more is to be learned.
    bytes: Option<Vec<u8>>,
    seen: SeenVersion,
}

impl ServerVersion {
    /// The first number of `4.0.5`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let major = text.split('.').next()?.parse().ok()?;
        Some(Self { major })
    }
}

impl GreetingReader {
    pub(crate) fn new(seen: SeenVersion) -> Self {
        Self { bytes: Some(Vec::new()), seen }
    }

    /// Takes note of `bytes`, which the broker sent next.
    pub(crate) fn see(&mut self, bytes: &[u8]) {
        let Some(known) = &mut self.bytes else { return };
        known.extend_from_slice(bytes);
        let size = known.get(3..FRAME_HEAD).and_then(|size| Some(u32::from_be_bytes(size.try_into().ok()?)));
        let end = size.map(|size| FRAME_HEAD.saturating_add(usize::try_from(size).unwrap_or(usize::MAX)));
        match end {
            Some(end) if known.len() >= end => {
                if let Some(version) = version_in(&known[FRAME_HEAD..end]) {
                    let _ = self.seen.set(version);
                }
                self.bytes = None;
            }
            Some(end) if end > LONGEST => self.bytes = None,
            _ => {}
        }
    }
}

/// The release in the payload of a method frame, if that is `connection.start` and names one.
fn version_in(payload: &[u8]) -> Option<ServerVersion> {
    // Behind class and method are two bytes with the version of the protocol.
    let table = payload.strip_prefix(&START)?.get(2..)?;
    let (mut fields, _) = long_string(table)?;
    while let Some((&length, rest)) = fields.split_first() {
        let (name, rest) = rest.split_at_checked(length.into())?;
        let (&kind, rest) = rest.split_first()?;
        let (value, rest) = value(kind, rest)?;
        if name == b"version" && kind == b'S' {
            return ServerVersion::parse(std::str::from_utf8(value).ok()?);
        }
        fields = rest;
    }
    None
}

/// The value of a field of this type, and what is behind it. Nested values are bytes with a length, as a text is.
fn value(kind: u8, rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let size = match kind {
        b'S' | b'x' | b'A' | b'F' => return long_string(rest),
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'u' | b'U' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'l' | b'L' | b'd' | b'T' => 8,
        _ => return None,
    };
    rest.split_at_checked(size)
}

fn long_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, kind: u8, value: &[u8]) -> Vec<u8> {
        let mut field = vec![u8::try_from(name.len()).unwrap()];
        field.extend(name.bytes());
        field.push(kind);
        if matches!(kind, b'S' | b'F') {
            field.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        }
        field.extend(value);
        field
    }

    fn greeting(fields: &[Vec<u8>]) -> Vec<u8> {
        let fields = fields.concat();
        let mut payload = [&START[..], &[0, 9]].concat();
        payload.extend(u32::try_from(fields.len()).unwrap().to_be_bytes());
        payload.extend(fields);
        let mut frame = vec![1, 0, 0];
        frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        frame.extend(payload);
        frame.push(0xce);
        frame
    }

    fn read(bytes: &[u8], piece: usize) -> Option<u16> {
        let seen = SeenVersion::default();
        let mut reader = GreetingReader::new(Arc::clone(&seen));
        bytes.chunks(piece).for_each(|bytes| reader.see(bytes));
        seen.get().map(|version| version.major)
    }

    #[test]
    fn the_release_is_read_from_a_greeting_in_pieces_of_any_size() {
        let capabilities = field("capabilities", b'F', &field("version", b'S', b"9"));
        let fields = [capabilities, field("ok", b't', &[1]), field("version", b'S', b"4.0.5"), field("z", b'V', &[])];
        let mut bytes = greeting(&fields);
        bytes.extend(greeting(&[field("version", b'S', b"5.0.0")]));
        for piece in [1, 2, 7, 50, bytes.len()] {
            assert_eq!(read(&bytes, piece), Some(4), "pieces of {piece}");
        }
    }

    #[test]
    fn a_greeting_that_names_no_release_or_lies_about_its_lengths_tells_nothing() {
        let mut lying = greeting(&[field("version", b'S', b"4.0.5")]);
        lying[13] = 0xff;
        for bytes in [
            greeting(&[]),
            greeting(&[field("version", b'S', b"next")]),
            greeting(&[field("what", b'?', b""), field("version", b'S', b"4.0.5")]),
            lying,
            vec![1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0],
            b"AMQP\0\0\x09\x01".to_vec(),
        ] {
            assert_eq!(read(&bytes, 3), None, "{bytes:?}");
        }
    }
}
