//! Ends whatever waits on a socket, from outside of lapin.

use std::io;
use std::net::Shutdown;
use std::pin::pin;
use std::time::Duration;

use socket2::{SockRef, Socket};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::connection::deferred_eof::CloseProgress;

/// How long lapin may take to fail a request after its connection has ended.
/// It may never fail one that it got at that moment, a handshake too:
/// its thread has seen the end, and handles no more requests.
///
/// Long enough for a busy machine, because lapin's answer says more than that the connection ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A second handle to the socket of a connection. Dropping it shuts the socket down,
/// which ends every read and write, above all those of lapin's thread, which has no deadlines.
#[derive(Debug)]
pub(crate) struct KillSwitch {
    /// A duplicate of the descriptor, so it works whatever lapin does with the other one.
    socket: Socket,
    /// Cancelled when the socket is shut down, by this side or the peer.
    pub(crate) ended: CancellationToken,
    /// Its end is reported when the socket is shut, so a held end of the stream is released.
    pub(crate) close_progress: CloseProgress,
}

impl KillSwitch {
    /// Duplicates the descriptor of `stream`, which fails, for example, at the limit of open files.
    pub(crate) fn of(stream: &TcpStream) -> io::Result<Self> {
        let socket = SockRef::from(stream).try_clone()?;
        Ok(Self { socket, ended: CancellationToken::new(), close_progress: CloseProgress::default() })
    }

    /// Shuts both directions, so reads and writes of lapin fail.
    /// What lapin has not written yet is lost. It may be called repeatedly, and never blocks.
    pub(crate) fn shut(&self) {
        // It fails only if the peer has shut the socket already.
        let _ = self.socket.shutdown(Shutdown::Both);
        // From here on a request of lapin has one more second to end.
        self.ended.cancel();
        self.close_progress.over.cancel();
    }
}

impl Drop for KillSwitch {
    /// lapin's thread has no other reason to end while a silent broker keeps the connection open.
    fn drop(&mut self) {
        self.shut();
    }
}

/// The result of `request`; `None` if it has not ended [`LAST_WORDS`] after `ended`.
///
/// A result that is ready counts even after the end.
///
/// Cancellation drops `request`.
pub(crate) async fn unless_ended<T>(ended: &CancellationToken, request: impl Future<Output = T>) -> Option<T> {
    let mut request = pin!(request);
    tokio::select! {
        // An answer that is ready wins over the end.
        biased;
        said = &mut request => Some(said),
        () = ended.cancelled() => timeout(LAST_WORDS, request).await.ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_lapin_never_answers_ends_soon_after_the_connection() {
        let ended = CancellationToken::new();
        let begun = Instant::now();
        let throwing = async {
            sleep(Duration::from_secs(3)).await;
            ended.cancel();
        };
        let (said, ()) = tokio::join!(unless_ended(&ended, pending::<()>()), throwing);
        assert_eq!((said, begun.elapsed()), (None, Duration::from_secs(3) + LAST_WORDS));
    }

    #[tokio::test(start_paused = true)]
    async fn what_lapin_says_before_the_end_or_at_it_counts() {
        let ended = CancellationToken::new();
        assert_eq!(unless_ended(&ended, async { 1 }).await, Some(1));
        ended.cancel();
        let late = async {
            sleep(LAST_WORDS / 2).await;
            2
        };
        assert_eq!(unless_ended(&ended, late).await, Some(2));
    }
}
