//! A way to end whatever waits on a socket.

use std::io;
use std::net::Shutdown;
use std::pin::pin;
use std::time::Duration;

use socket2::{SockRef, Socket};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::connection::deferred_eof::Parting;

/// How long lapin may take to end what waits for an answer of a connection that is gone. What it is asked at that moment,
/// a handshake too, it may never end: its thread has seen the end, and nobody looks at the request any more.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A second handle on the socket of a connection. Dropping it shuts the socket down, which ends whatever reads or writes
/// it: lapin's thread, above all, which knows no deadline.
#[derive(Debug)]
pub(crate) struct KillSwitch {
    socket: Socket,
    /// Cancelled when the socket was shut down, here or by the peer.
    pub(crate) thrown: CancellationToken,
    pub(crate) parting: Parting,
}

impl KillSwitch {
    pub(crate) fn of(stream: &TcpStream) -> io::Result<Self> {
        let socket = SockRef::from(stream).try_clone()?;
        Ok(Self { socket, thrown: CancellationToken::new(), parting: Parting::default() })
    }

    pub(crate) fn shut(&self) {
        // It fails only if the peer was faster.
        let _ = self.socket.shutdown(Shutdown::Both);
        self.thrown.cancel();
        self.parting.over.cancel();
    }
}

impl Drop for KillSwitch {
    fn drop(&mut self) {
        self.shut();
    }
}

/// What comes of `request`; `None` if nothing has come a while after `thrown`.
pub(crate) async fn unless<T>(thrown: &CancellationToken, request: impl Future<Output = T>) -> Option<T> {
    let mut request = pin!(request);
    tokio::select! {
        biased;
        said = &mut request => Some(said),
        () = thrown.cancelled() => timeout(LAST_WORDS, request).await.ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_lapin_never_answers_ends_soon_after_the_connection() {
        let thrown = CancellationToken::new();
        let begun = Instant::now();
        let throwing = async {
            sleep(Duration::from_secs(3)).await;
            thrown.cancel();
        };
        let (said, ()) = tokio::join!(unless(&thrown, pending::<()>()), throwing);
        assert_eq!((said, begun.elapsed()), (None, Duration::from_secs(3) + LAST_WORDS));
    }

    #[tokio::test(start_paused = true)]
    async fn what_lapin_says_before_the_end_or_at_it_counts() {
        let thrown = CancellationToken::new();
        assert_eq!(unless(&thrown, async { 1 }).await, Some(1));
        thrown.cancel();
        let late = async {
            sleep(LAST_WORDS / 2).await;
            2
        };
        assert_eq!(unless(&thrown, late).await, Some(2));
    }
}
