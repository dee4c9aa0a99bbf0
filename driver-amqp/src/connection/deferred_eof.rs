//! Delays the end of a stream while its connection closes.
//!
//! A broker shuts the socket right after its connection.close-ok.
//! lapin reads both at once, and reports the end as a lost connection,
//! because another task of its own has not processed the close-ok yet.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::frames::write_unchanged::write_unchanged;

/// How far an orderly close is. The driver writes it, and the stream reads it.
///
/// Both tokens go from open to cancelled once. `over` is also cancelled
/// when the socket is shut, so nothing waits for ever.
#[derive(Debug, Clone, Default)]
pub(crate) struct CloseProgress {
    /// Cancelled when the driver is about to send connection.close.
    pub(crate) begun: CancellationToken,
    /// Cancelled when the close is over, and the end may be read.
    pub(crate) over: CancellationToken,
}

/// Passes everything through, except an end of the stream during a close: that is reported when the close is over.
/// Outside of a close it has no effect. It is the outermost stream, so the other observers see the end at once.
pub(crate) struct DeferredEof<S> {
    /// Not read while an end is held.
    stream: S,
    /// Shared with the connection, which begins and ends the close.
    close_progress: CloseProgress,
    /// The wait for the end of the close, and the result that the read then returns.
    held: Option<(BoxFuture<'static, ()>, io::Result<()>)>,
}

impl<S> DeferredEof<S> {
    /// Until `close_progress` says that a close has begun, the wrapper changes nothing.
    pub(crate) fn new(stream: S, close_progress: CloseProgress) -> Self {
        Self { stream, close_progress, held: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for DeferredEof<S> {
    /// An interrupted read is not an end. Bytes before the end are never held.
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.held.is_none() {
            let (before, room) = (into.filled().len(), into.remaining());
            let outcome = ready!(Pin::new(&mut self.stream).poll_read(context, into));
            let ended = match &outcome {
                Ok(()) => room > 0 && into.filled().len() == before,
                Err(error) => error.kind() != ErrorKind::Interrupted,
            };
            // Checked after the read: the close may have begun while it waited.
            if !ended || !self.close_progress.begun.is_cancelled() {
                return Poll::Ready(outcome);
            }
            self.held = Some((Box::pin(self.close_progress.over.clone().cancelled_owned()), outcome));
        }
        if let Some((over, _)) = &mut self.held {
            ready!(over.poll_unpin(context));
        }
        Poll::Ready(self.held.take().map_or(Ok(()), |(_, outcome)| outcome))
    }
}

write_unchanged!(DeferredEof);

impl<S: std::fmt::Debug> std::fmt::Debug for DeferredEof<S> {
    /// Without the held result, whose future has no text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeferredEof")
            .field("stream", &self.stream)
            .field("close_progress", &self.close_progress)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn an_end_is_passed_on_at_once_unless_the_parting_has_begun() {
        let (ours, theirs) = duplex(16);
        let mut stream = DeferredEof::new(ours, CloseProgress::default());
        drop(theirs);
        assert_eq!(stream.read(&mut [0; 4]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn the_end_behind_a_goodbye_is_held_back_until_the_parting_is_over() {
        let (ours, mut theirs) = duplex(16);
        let close_progress = CloseProgress::default();
        let mut stream = DeferredEof::new(ours, close_progress.clone());
        close_progress.begun.cancel();
        theirs.write_all(b"bye").await.unwrap();
        drop(theirs);
        let mut room = [0; 4];
        assert_eq!(stream.read(&mut room).await.unwrap(), 3, "what came before it is read");
        let mut reading = Box::pin(stream.read(&mut room));
        assert!(futures_util::poll!(&mut reading).is_pending());
        close_progress.over.cancel();
        assert_eq!(reading.await.unwrap(), 0);
    }
}
