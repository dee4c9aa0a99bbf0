//! Signals the end of a stream to the tasks that wait for an answer of lapin.
//!
//! The signal is independent of lapin, which may lose a request together with its connection.
//! A task that waits for lapin also waits for this token, see `unless_ended`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

/// Passes everything through, and cancels `ended` at the end of the stream or an error.
/// lapin does not report every end, and never resolves a request that it lost with the connection.
///
/// It sits outside of the frame reader, so bytes before the end reach lapin first, and a violation counts as an end.
#[derive(Debug)]
pub(crate) struct EofSignal<S> {
    /// Used for reads and writes, because either may be the first to fail.
    stream: S,
    /// Shared with the `KillSwitch`, which cancels it too.
    ended: CancellationToken,
}

impl<S> EofSignal<S> {
    /// `ended` is cancelled at most once, and never by a read without room.
    pub(crate) fn new(stream: S, ended: CancellationToken) -> Self {
        Self { stream, ended }
    }

    /// Signals an error, and returns it. Every kind of error counts, also an interrupted call.
    fn pass_on<T>(&self, outcome: io::Result<T>) -> Poll<io::Result<T>> {
        if outcome.is_err() {
            self.ended.cancel();
        }
        Poll::Ready(outcome)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for EofSignal<S> {
    /// The end is signalled when it is read, so bytes that arrived before it come out first.
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (before, room) = (into.filled().len(), into.remaining());
        let outcome = ready!(Pin::new(&mut self.stream).poll_read(context, into));
        // A read without room returns nothing, and is no end.
        if outcome.is_ok() && room > 0 && into.filled().len() == before {
            self.ended.cancel();
        }
        self.pass_on(outcome)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for EofSignal<S> {
    /// A failed write is the end too: a peer that reads nothing may still send.
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        self.pass_on(outcome)
    }

    /// A failed flush ends the stream as a failed write does.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = ready!(Pin::new(&mut self.stream).poll_flush(context));
        self.pass_on(outcome)
    }

    /// Signals nothing: this side ends the stream by it.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    /// As `poll_write`, for lapin, which writes vectored.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices));
        self.pass_on(outcome)
    }

    /// Passed on, so lapin writes its buffers without a copy.
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn the_end_is_signalled_when_it_is_read_and_not_before() {
        let (ours, mut theirs) = duplex(16);
        let ended = CancellationToken::new();
        let mut watched = EofSignal::new(ours, ended.clone());
        theirs.write_all(b"last").await.unwrap();
        drop(theirs);
        let mut four = [0; 4];
        watched.read_exact(&mut four).await.unwrap();
        assert!(&four == b"last" && !ended.is_cancelled());
        assert_eq!(watched.read(&mut []).await.unwrap(), 0);
        assert!(!ended.is_cancelled(), "there was no room for anything");
        assert_eq!(watched.read(&mut four).await.unwrap(), 0);
        assert!(ended.is_cancelled());
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_the_end_too() {
        let (ours, theirs) = duplex(16);
        let ended = CancellationToken::new();
        let mut watched = EofSignal::new(ours, ended.clone());
        drop(theirs);
        watched.write_all(b"unread").await.unwrap_err();
        assert!(ended.is_cancelled());
    }
}
