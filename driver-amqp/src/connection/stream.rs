//! The stack of streams between a broker's socket and lapin.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_util::{AsyncRead, AsyncWrite, Stream};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use crate::connection::deferred_eof::{CloseProgress, DeferredEof};
use crate::connection::eof_signal::EofSignal;
use crate::connection::tls_records::TlsRecords;
use crate::frames::{Framed, Notices};
use crate::peer::{Greeting, Peer};

/// From the inside out: TCP, with TLS or without; a check of the first bytes;
/// the frame reader; the signal of its end; the delay of that end during a close.
pub(crate) type BrokerStream =
    Compat<DeferredEof<EofSignal<Framed<Greeting<Either<TcpStream, TlsRecords<TcpStream>>>>>>>;

/// The runtime of lapin: tokio, with [`BrokerStream`] as its stream.
/// lapin's own TLS would add a second cryptography library and one for key stores, and reports errors only as text.
pub(crate) type LapinRuntime = RuntimeParts<Tokio, TokioReactor>;

/// Tokio's timers and sockets. It exists only because lapin's runtime trait ties the stream type to the reactor.
#[derive(Debug, Clone)]
pub(crate) struct TokioReactor(Tokio);

/// The current tokio runtime, for lapin. Panics outside of a tokio runtime.
/// lapin's heartbeats and its tasks run on the runtime that is current here.
pub(crate) fn runtime() -> Runtime<LapinRuntime> {
    Runtime::new(RuntimeParts::new(Tokio::current(), TokioReactor(Tokio::current())))
}

/// What observes a stream while lapin reads it. Each part is shared with the connection that is made from the stream.
#[derive(Debug, Default)]
pub(crate) struct StreamObservers {
    /// Cancelled at the end of the stream.
    pub(crate) ended: CancellationToken,
    /// While a close is under way, the end is delayed.
    pub(crate) close_progress: CloseProgress,
    /// Learns whether the peer is a broker.
    pub(crate) peer: Peer,
    /// Receives the reports of the frame reader.
    pub(crate) notices: Arc<Notices>,
}

impl StreamObservers {
    /// The order matters: see `BrokerStream`.
    fn watch(self, stream: Either<TcpStream, TlsRecords<TcpStream>>) -> BrokerStream {
        // The check of the peer comes first: the frame reader would call its bytes a wrong frame type.
        let framed = Framed::new(Greeting::new(stream, self.peer), self.notices);
        DeferredEof::new(EofSignal::new(framed, self.ended), self.close_progress).compat()
    }
}

/// A stream without TLS, whose frames are read before lapin sees them.
pub(crate) fn plain(stream: TcpStream, known: StreamObservers) -> BrokerStream {
    known.watch(Either::Left(stream))
}

/// A stream with TLS. Its frames are read after decryption and before lapin sees them.
pub(crate) fn secured(stream: TlsStream<TcpStream>, known: StreamObservers) -> BrokerStream {
    known.watch(Either::Right(TlsRecords::over(stream)))
}

impl Reactor for TokioReactor {
    /// What lapin reads and writes: the whole stack, with TLS in it where TLS is used.
    type TcpStream = BrokerStream;
    /// Tokio's own timer, on the runtime that was current when the connection was opened.
    type Sleep = <Tokio as Reactor>::Sleep;

    /// Never called: lapin uses it for streams of other runtimes.
    fn register<H: Read + Write + Send + 'static>(
        &self,
        _socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<BrokerStream, _>(io::ErrorKind::Unsupported.into())
    }

    /// A timer of tokio: a runtime that is blocked delays what lapin schedules on it.
    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    /// As `sleep`: a runtime that is blocked delays every tick.
    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    /// Without TLS and without observers. The driver connects by itself,
    /// so only an unusual use of lapin would get here.
    #[allow(clippy::manual_async_fn, reason = "an async function would borrow what the trait wants to be static")]
    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        async move { TcpStream::connect(address).await.map(|stream| plain(stream, StreamObservers::default())) }
    }
}
