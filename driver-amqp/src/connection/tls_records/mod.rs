//! Writes into TLS in such a way that what could not be written has not arrived.
//!
//! lapin takes a write that fails for one of which the peer has nothing it can use, and a lane sends again what was in it.
//! tokio-rustls encrypts a long write piece by piece, and fails the whole of it when the socket fails at a later piece: the
//! peer has read the earlier ones. So it is given no more than what fits into one record of TLS, which the peer cannot read
//! before it has all of it, and only when it has nothing else left to write.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

/// How many bytes one record of TLS may carry (RFC 8446, section 5.1), which is what rustls puts into one.
const RECORD: usize = 16 * 1024;

/// A stream inside of TLS that is written record by record.
#[derive(Debug)]
pub(crate) struct TlsRecords<S>(TlsStream<S>);

impl<S> TlsRecords<S> {
    pub(crate) fn over(stream: TlsStream<S>) -> Self {
        Self(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsRecords<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // What is left is of writes that have succeeded. With more than this in front of them, the bytes could be split.
        ready!(Pin::new(&mut self.0).poll_flush(context))?;
        Pin::new(&mut self.0).poll_write(context, &bytes[..bytes.len().min(RECORD)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsRecords<S> {
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
