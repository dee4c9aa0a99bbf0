use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, server};

use super::*;

/// The length of what each test writes; many records of 16 KiB.
const MIB: usize = 1024 * 1024;

/// A socket that takes so many more bytes, `piece` at once, and then fails.
#[derive(Debug)]
struct Failing {
    /// This end of the connection, in memory. The other one belongs to the TLS server.
    socket: DuplexStream,
    /// How many more bytes it takes. A test sets it while the TLS client has the socket.
    left: Arc<AtomicUsize>,
    /// The most bytes that one write takes, for a write that takes only a part.
    piece: usize,
}

impl AsyncWrite for Failing {
    /// Takes at most `piece` bytes; resets the connection once `left` is used up.
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let most = bytes.len().min(left).min(self.piece);
        let written = Pin::new(&mut self.socket).poll_write(context, &bytes[..most]);
        if let Poll::Ready(Ok(written)) = written {
            self.left.fetch_sub(written, Ordering::Relaxed);
        }
        written
    }

    /// Never fails, so a failure always comes from a write.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    /// Passed on, so the peer reads the end of what was written.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

impl AsyncRead for Failing {
    /// Reads never fail: only writes are under test.
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

/// Both ends after the handshake, and how many bytes the client's socket takes before it fails.
async fn ends(buffer: usize, piece: usize) -> (TlsRecords<Failing>, server::TlsStream<DuplexStream>, Arc<AtomicUsize>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(ring::default_provider());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let server = server.unwrap().with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let client = TlsConnector::from(Arc::new(client.with_root_certificates(roots).with_no_client_auth()));
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let (ours, theirs) = duplex(buffer);
    let ours = Failing { socket: ours, left: Arc::clone(&left), piece };
    let name = ServerName::try_from("localhost").unwrap();
    let (ours, theirs) = tokio::join!(client.connect(name, ours), TlsAcceptor::from(Arc::new(server)).accept(theirs));
    (TlsRecords::over(ours.unwrap()), theirs.unwrap(), left)
}

/// Writes until the socket fails after `after` bytes; how many bytes the writes reported, and how many arrived.
async fn written_and_arrived(buffer: usize, piece: usize, after: usize) -> (usize, usize) {
    let (mut ours, mut theirs, left) = ends(buffer, piece).await;
    left.store(after, Ordering::Relaxed);
    let reading = tokio::spawn(async move {
        let (mut arrived, mut bytes) = (0, vec![0; MIB]);
        while let Ok(read @ 1..) = theirs.read(&mut bytes).await {
            arrived += read;
        }
        arrived
    });
    let (bytes, mut reported) = (vec![7; MIB], 0);
    while let Ok(written) = ours.write(&bytes[reported..]).await {
        assert!(written > 0, "the socket fails before everything is written");
        reported += written;
    }
    drop(ours);
    (reported, reading.await.unwrap())
}

/// The publisher relies on it: it sends a message again whose write has failed.
#[tokio::test]
async fn what_fails_to_be_written_has_not_arrived() {
    // Sockets that take all at once, only a part, or are full all the time.
    for (buffer, piece) in [(2 * MIB, usize::MAX), (2 * MIB, 10_000), (20_000, usize::MAX), (70_000, 50_000)] {
        for after in (1_000..200_000).step_by(9_700) {
            let (written, arrived) = written_and_arrived(buffer, piece, after).await;
            assert!(
                arrived <= written,
                "{buffer} {piece} {after}: {arrived} bytes arrived, and {written} were written"
            );
        }
    }
}

/// The limit of one record per write must not lose or reorder bytes.
#[tokio::test]
async fn everything_arrives_through_a_socket_that_works() {
    let (mut ours, mut theirs, _) = ends(20_000, 7_000).await;
    let bytes: Vec<u8> = (0..MIB).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let expected = bytes.clone();
    let writing = tokio::spawn(async move {
        ours.write_all(&bytes).await.unwrap();
        ours.shutdown().await.unwrap();
    });
    let mut arrived = Vec::new();
    theirs.read_to_end(&mut arrived).await.unwrap();
    writing.await.unwrap();
    assert!(arrived == expected, "{} bytes", arrived.len());
}
