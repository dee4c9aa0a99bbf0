//! Compressed bodies, in the two methods that this library shares with kombu: zlib and bzip2.
//!
//! kombu compresses a body and names the method in the header `compression`. A small body can decompress to a very
//! large one, so decompression stops at a limit and never reserves more memory than that.

use std::io::{self, Read, Write};

use bytes::Bytes;
use bzip2::read::BzDecoder;
use bzip2::write::BzEncoder;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::driver::Message;
use crate::{Error, ErrorKind, Result};

/// The header that names the compression of a body (kombu `compression.py`).
pub const HEADER: &str = "compression";

/// The most that a body may grow to, 64 MiB, unless the bus says otherwise
/// ([`BusBuilder::decompressed_limit`](crate::BusBuilder::decompressed_limit)).
pub const LIMIT: usize = 64 << 20;
/// How many bytes are decompressed between two looks at the limit.
///
/// The limit is checked after each piece, so at most this much is decompressed beyond it.
const CHUNK: usize = 8 << 10;
/// Longer bodies are copied once more, so that they give back what was reserved too much.
const WORTH_SHRINKING: usize = 256 << 10;

/// How a body is compressed. The header of a message names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// `application/x-gzip`, which is in truth zlib data: it begins `78 9c` or alike, and is no gzip stream.
    Zlib,
    /// `application/x-bz2`, a plain bzip2 stream.
    Bzip2,
}

impl Compression {
    /// The compression that a header names, by its content type or one of kombu's aliases of it.
    ///
    /// `None` for the other methods of kombu, such as brotli, lzma and zstd.
    #[must_use]
    pub fn from_header(value: &str) -> Option<Self> {
        match value {
            "application/x-gzip" | "gzip" | "zlib" => Some(Self::Zlib),
            "application/x-bz2" | "bzip2" | "bzip" => Some(Self::Bzip2),
            _ => None,
        }
    }

    /// The value of the header, as kombu writes it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Zlib => "application/x-gzip",
            Self::Bzip2 => "application/x-bz2",
        }
    }

    /// Compresses `body` into a new buffer. A peer reads it only with the header [`HEADER`].
    ///
    /// Uses the default level of the library; runs on the calling thread.
    #[must_use]
    pub fn compress(self, body: &[u8]) -> Bytes {
        let compressed = match self {
            Self::Zlib => {
                finish(ZlibEncoder::new(Vec::new(), flate2::Compression::default()), body, ZlibEncoder::finish)
            }
            Self::Bzip2 => finish(BzEncoder::new(Vec::new(), bzip2::Compression::default()), body, BzEncoder::finish),
        };
        compressed.expect("memory takes every write").into()
    }

    /// Decompresses `body`. However little it is, no more than `limit` bytes of memory are reserved for the result.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] if it is not what it should be,
    /// [`ErrorKind::TooLarge`] as soon as it grows over `limit` bytes.
    ///
    /// Runs on the calling thread. A server decompresses large bodies on a blocking task instead.
    pub fn decompress(self, body: &[u8], limit: usize) -> Result<Bytes> {
        inflate(self, body, limit, |_| Ok(()))?.ok_or_else(|| too_large(limit))
    }
}

/// The body of `message`, decompressed if a header says so, whatever our own configuration.
///
/// # Errors
/// [`ErrorKind::Decode`] if the header names an unknown compression, the body is something else, or the driver could
/// not read the headers; [`ErrorKind::TooLarge`] if it grows over [`LIMIT`].
pub fn body(message: &Message) -> Result<Bytes> {
    body_within(message, LIMIT)
}

/// As [`body`], with another limit.
pub(crate) fn body_within(message: &Message, limit: usize) -> Result<Bytes> {
    match header(message)? {
        None => Ok(message.body.clone()),
        Some(compression) => compression.decompress(&message.body, limit),
    }
}

/// How `message` is compressed, by its header; `None` if it is not.
///
/// Errors: `Decode` for an unknown compression, or if the driver could not read the headers.
pub(crate) fn header(message: &Message) -> Result<Option<Compression>> {
    if let Some(reason) = &message.undecodable {
        return Err(Error::new(ErrorKind::Decode, "read properties").with_context("reason", reason));
    }
    match message.headers.get(HEADER).map(String::as_str) {
        None | Some("") => Ok(None),
        Some(name) => match Compression::from_header(name) {
            Some(compression) => Ok(Some(compression)),
            None => Err(Error::new(ErrorKind::Decode, "decompress")
                .with_context("compression", name)
                .with_context("reason", "the compression is unknown")),
        },
    }
}

/// Decompresses `body`; nothing if it grows over `limit` bytes. `count` has the length of each piece and may end it.
///
/// Errors: `Decode` for broken data, and what `count` returns.
pub(crate) fn inflate(
    compression: Compression,
    body: &[u8],
    limit: usize,
    count: impl FnMut(usize) -> Result<()>,
) -> Result<Option<Bytes>> {
    match compression {
        Compression::Zlib => read_all(compression, ZlibDecoder::new(body), limit, count),
        Compression::Bzip2 => read_all(compression, BzDecoder::new(body), limit, count),
    }
}

/// A body grew over `limit` bytes.
///
/// The context names the limit and not the size, which is unknown: decompression stopped.
pub(crate) fn too_large(limit: usize) -> Error {
    Error::new(ErrorKind::TooLarge, "decompress").with_context("limit", limit)
}

/// Compressing into memory fails only if the encoder has an error of its own.
fn finish<W: Write>(mut encoder: W, body: &[u8], end: fn(W) -> io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
    encoder.write_all(body)?;
    end(encoder)
}

/// Everything there is to read, or nothing if that is over `limit`.
fn read_all(
    compression: Compression,
    mut decoder: impl Read,
    limit: usize,
    mut count: impl FnMut(usize) -> Result<()>,
) -> Result<Option<Bytes>> {
    let (mut body, mut chunk) = (Vec::new(), [0; CHUNK]);
    loop {
        let read = match decoder.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let failed =
                    Error::new(ErrorKind::Decode, "decompress").with_context("compression", compression.content_type());
                return Err(failed.with_source(error));
            }
        };
        // Cannot underflow: more than the room is never appended.
        let room = limit - body.len();
        if read > room {
            return Ok(None);
        }
        count(read)?;
        if body.capacity() - body.len() < read {
            // Doubled as a `Vec` would be, but never past the limit.
            body.reserve_exact(body.len().max(read).min(room));
        }
        body.extend_from_slice(&chunk[..read]);
    }
    if body.len() > WORTH_SHRINKING {
        // The budget counts the length, so the capacity must not be twice that.
        body.shrink_to_fit();
    }
    Ok(Some(body.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message;

    #[test]
    fn what_is_compressed_reads_back_and_is_marked_as_the_reference_marks_it() {
        for (compression, header, start) in
            [(Compression::Zlib, "application/x-gzip", &b"\x78"[..]), (Compression::Bzip2, "application/x-bz2", b"BZh")]
        {
            let message = message(Bytes::from_static(b"hello hello hello"), Some(compression));
            assert!(message.body.starts_with(start), "{compression:?}");
            assert_eq!(message.headers[HEADER], header);
            assert_eq!(body(&message).unwrap(), "hello hello hello");
        }
    }

    #[test]
    fn a_body_without_the_header_is_left_alone() {
        let plain = message(Bytes::from_static(b"{}"), None);
        assert!(plain.headers.is_empty());
        assert_eq!(body(&plain).unwrap(), "{}");
    }

    #[test]
    fn an_unknown_compression_is_told_by_name() {
        let error = body(&Message::new("x").with_header(HEADER, "application/zstd")).expect_err("unknown");
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(error.to_string().contains("application/zstd"), "{error}");
    }

    #[test]
    fn a_body_whose_headers_the_driver_could_not_read_is_not_decoded() {
        let sound = Message::new("{}");
        assert_eq!(body(&sound).unwrap(), "{}");
        let error = body(&sound.with_undecodable("a field is of unknown type 'Z'")).expect_err("it may be compressed");
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(error.to_string().contains("unknown type 'Z'"), "{error}");
    }

    #[test]
    fn a_cut_or_false_body_is_an_error() {
        let cut = {
            let whole = message(vec![b'a'; 1000].into(), Some(Compression::Zlib));
            let end = whole.body.len() - 3;
            Message { body: whole.body.slice(..end), ..whole }
        };
        for (name, message) in [
            ("cut zlib", cut),
            ("no zlib", Message::new("{}").with_header(HEADER, "application/x-gzip")),
            ("no bzip2", Message::new("{}").with_header(HEADER, "application/x-bz2")),
            ("empty", Message::new("").with_header(HEADER, "application/x-bz2")),
        ] {
            assert_eq!(body(&message).expect_err(name).kind(), ErrorKind::Decode, "{name}");
        }
    }

    #[test]
    fn a_body_that_grows_without_end_is_stopped_at_the_limit() {
        for compression in [Compression::Zlib, Compression::Bzip2] {
            let body = compression.compress(&vec![0; 1 << 20]);
            assert!(body.len() < 10_000);
            assert_eq!(compression.decompress(&body, 1 << 20).unwrap().len(), 1 << 20);
            let error = compression.decompress(&body, (1 << 20) - 1).expect_err("one byte over");
            assert_eq!(error.kind(), ErrorKind::TooLarge);
        }
    }
}
