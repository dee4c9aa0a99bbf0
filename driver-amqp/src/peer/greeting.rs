//! Checks whether the first bytes of a connection are those of a broker, before lapin reads them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::Peer;
use super::identity::{ENOUGH, Identity, identify};
use crate::frames::write_unchanged::write_unchanged;

/// Passes everything through, unless the first bytes are not those of a broker:
/// then the stream ends with an error, and [`Peer`] has the reason.
/// lapin would only report that they cannot be parsed.
///
/// It works only until the first bytes are known; from then on a read passes through without a check.
#[derive(Debug)]
pub(crate) struct Greeting<S> {
    /// TCP, or TLS that is decrypted already: the first bytes are those of the protocol inside.
    stream: S,
    /// Gets the reason for a refusal, which becomes the error of the connect.
    peer: Peer,
    /// Goes from `Unknown` to `Known` once.
    phase: Phase,
}

/// Whether the peer is known. Until then nothing is passed on.
#[derive(Debug)]
enum Phase {
    /// These bytes have arrived, and nothing was passed on.
    Unknown(Vec<u8>),
    /// The first byte was that of a broker; nothing is checked any more.
    Known,
}

impl<S> Greeting<S> {
    /// `stream` must not have been read yet. The reason for a refusal goes to `peer`.
    pub(crate) fn new(stream: S, peer: Peer) -> Self {
        Self { stream, peer, phase: Phase::Unknown(Vec::new()) }
    }
}

impl<S: AsyncRead + Unpin> Greeting<S> {
    /// Reads until the peer is known. The first byte identifies a broker, so nothing that it sends is ever delayed.
    ///
    /// Bytes of an unknown peer are kept and not passed on, except that a broker's first byte decides at once.
    /// A stream that ends before any byte ends normally.
    fn poll_known(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        while let Phase::Unknown(seen) = &mut self.phase {
            let room = into.remaining();
            ready!(Pin::new(&mut self.stream).poll_read(context, into))?;
            let came = &into.filled()[before..];
            // Without room an empty read says nothing about the end.
            let ended = came.is_empty() && room > 0;
            if came.is_empty() && (room == 0 || seen.is_empty()) {
                return Poll::Ready(Ok(()));
            }
            seen.extend_from_slice(&came[..came.len().min(ENOUGH)]);
            match identify(seen, ended) {
                Identity::Broker => {
                    self.phase = Phase::Known;
                }
                Identity::ForeignPeer(foreign) => {
                    let error = io::Error::other(foreign.to_string());
                    into.set_filled(before);
                    let _ = self.peer.0.foreign.set(foreign);
                    return Poll::Ready(Err(error));
                }
                // Taken back: lapin must not see bytes of a peer that may not be a broker.
                Identity::Incomplete => into.set_filled(before),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeting<S> {
    /// Until the peer is known, a read returns nothing. Afterwards it costs one comparison.
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if matches!(self.phase, Phase::Unknown(_)) {
            return self.poll_known(context, into);
        }
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

write_unchanged!(Greeting);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn what_a_broker_says_is_passed_on_whole_at_every_split() {
        let said = b"\x01\0\0....\x07versionS\0\0\0\x053.9.1 and all the rest";
        for split in 0..said.len() {
            let (ours, mut theirs) = duplex(1024);
            let mut greeting = Greeting::new(ours, Peer::default());
            let mut heard = vec![0; said.len()];
            let (first, second) = said.split_at(split);
            let writing = async {
                theirs.write_all(first).await.unwrap();
                tokio::task::yield_now().await;
                theirs.write_all(second).await.unwrap();
            };
            let ((), read) = tokio::join!(writing, greeting.read_exact(&mut heard));
            read.unwrap();
            assert_eq!(&heard[..], &said[..], "{split}");
        }
    }

    #[tokio::test]
    async fn a_stranger_ends_the_stream_however_slowly_it_speaks() {
        let (ours, mut theirs) = duplex(1024);
        let peer = Peer::default();
        let mut greeting = Greeting::new(ours, peer.clone());
        let writing = async {
            for byte in b"HTTP/1.0 503 No server\r\n" {
                theirs.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let mut heard = [0; 64];
        let ((), read) = tokio::join!(writing, greeting.read(&mut heard));
        assert!(read.unwrap_err().to_string().contains("503 No server"));
    }

    #[tokio::test]
    async fn an_end_without_a_word_is_an_end_and_nothing_else() {
        let (ours, theirs) = duplex(16);
        drop(theirs);
        let mut greeting = Greeting::new(ours, Peer::default());
        assert_eq!(greeting.read(&mut [0; 4]).await.unwrap(), 0);
    }
}
