//! Writes to TLS so that a failed write has certainly not arrived.
//!
//! After a failed write, lapin assumes that the peer has nothing usable of it,
//! and the publisher sends its messages again. tokio-rustls encrypts a long write piece by piece,
//! and fails all of it if the socket fails at a later piece, although the peer has read the earlier ones.
//! So each write is limited to one TLS record, which the peer cannot read
//! before it has all of it, and starts only when nothing else is left to write.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

/// The payload of one TLS record, in bytes (RFC 8446, section 5.1); rustls fills records up to it.
/// lapin offers far more at once. The limit costs one call per 16 KiB, and no extra record on the wire.
const RECORD: usize = 16 * 1024;

/// A TLS stream that is written record by record. Vectored writes are not passed on:
/// the default writes the first slice that is not empty, which keeps the limit.
#[derive(Debug)]
pub(crate) struct TlsRecords<S>(TlsStream<S>);

impl<S> TlsRecords<S> {
    /// The handshake must be complete.
    pub(crate) fn over(stream: TlsStream<S>) -> Self {
        Self(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsRecords<S> {
    /// Pending as long as an earlier record is not with the kernel.
    /// An error therefore belongs to bytes that the peer cannot have read.
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // What is left belongs to writes that have succeeded. Behind it, the bytes of this write could be
        // split.
        ready!(Pin::new(&mut self.0).poll_flush(context))?;
        Pin::new(&mut self.0).poll_write(context, &bytes[..bytes.len().min(RECORD)])
    }

    /// Ends when the kernel has every record. The peer may not have read any.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    /// Writes what is left, and then the alert `close_notify`, which tells the peer that nothing was cut off.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsRecords<S> {
    /// Reads are not limited: what was decrypted has arrived whole.
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests;
