//! A host that accepts connections and never answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Accepts until it is dropped.
pub(crate) struct Silent {
    pub(crate) port: u16,
    open: Arc<AtomicUsize>,
    _accepting: JoinSet<()>,
}

impl Silent {
    pub(crate) async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let open = Arc::new(AtomicUsize::new(0));
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&open)));
        Self { port, open, _accepting: accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("rabbit://guest:guest@127.0.0.1:{}/", self.port)
    }

    /// How many connections are open now, as their far end sees it.
    pub(crate) fn connections(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, open: Arc<AtomicUsize>) {
    let mut readers = JoinSet::new();
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        open.fetch_add(1, Ordering::SeqCst);
        let open = Arc::clone(&open);
        readers.spawn(async move {
            let mut ignored = [0; 1024];
            while stream.read(&mut ignored).await.is_ok_and(|bytes| bytes > 0) {}
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}
