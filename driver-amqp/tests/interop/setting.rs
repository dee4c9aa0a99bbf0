//! What every test of this suite runs in: one broker, and Python processes that tests share.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use oslo_messaging::Bus;
use oslo_messaging::config::TransportUrl;
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use serde_json::json;
use tokio::sync::OnceCell;
use xtask::broker::{RABBIT_URL, Release};
use xtask::setup::python::PYTHON;

use crate::budget::soon;
use crate::peer::Peer;

/// The broker's URL, the interpreter, and the peers that tests share.
#[derive(Debug)]
pub(crate) struct Setting {
    url: String,
    release: Option<Release>,
    python: PathBuf,
    peer: OnceCell<Peer>,
    second_peer: OnceCell<Peer>,
    python_topic: OnceCell<String>,
    names: AtomicU32,
}

impl Setting {
    /// What the environment provides, or the variable that is missing.
    pub(crate) fn from_env() -> Result<Self, String> {
        let variable = |name| env::var(name).map_err(|_| format!("{name} is not set: `cargo xtask test` sets it"));
        let (url, python) = (variable(RABBIT_URL)?, variable(PYTHON)?);
        let release = Release::from_env().map_err(|error| error.to_string())?;
        Ok(Self {
            // Both sides have the same options, as everywhere.
            url: release.map_or(url.clone(), |release| release.reference_url(&url)),
            release,
            python: python.into(),
            peer: OnceCell::new(),
            second_peer: OnceCell::new(),
            python_topic: OnceCell::new(),
            names: AtomicU32::new(0),
        })
    }

    /// Whether the broker denies transient queues.
    pub(crate) fn denies_transient(&self) -> bool {
        self.release.is_some_and(Release::denies_transient)
    }

    /// The interpreter that has the reference.
    pub(crate) fn python(&self) -> &Path {
        &self.python
    }

    /// A bus of our own on the broker, and its driver, whose counters some tests read.
    pub(crate) async fn bus_and_transport(&self) -> (Bus, Arc<AmqpTransport>) {
        let transport = Arc::new(transport(&self.url).await);
        (Bus::new(Arc::clone(&transport)), transport)
    }

    /// A bus of our own on the broker.
    pub(crate) async fn bus(&self) -> Bus {
        self.bus_and_transport().await.0
    }

    /// A bus of our own on the broker with the options of `query`.
    pub(crate) async fn bus_with(&self, query: &str) -> Bus {
        Bus::new(transport(&self.url_with(query)).await)
    }

    /// The Python process that tests share: starting one takes seconds.
    pub(crate) async fn peer(&self) -> &Peer {
        self.peer.get_or_init(async || self.another_peer()).await
    }

    /// Another Python process that tests share, for what takes two.
    pub(crate) async fn second_peer(&self) -> &Peer {
        self.second_peer.get_or_init(async || self.another_peer()).await
    }

    /// The topic of a server of the shared peer, called `python`, for tests that need no server for themselves.
    pub(crate) async fn python_topic(&self) -> &str {
        let started = self.python_topic.get_or_init(async || {
            let topic = self.unique("python");
            self.peer().await.ok(json!({"do": "serve", "topic": topic, "server": "python"})).await;
            topic
        });
        started.await
    }

    /// A Python process for one test alone.
    pub(crate) fn another_peer(&self) -> Peer {
        self.peer_at(&self.url)
    }

    /// A Python process for one test alone, with the options of `query`.
    pub(crate) fn peer_with(&self, query: &str) -> Peer {
        self.peer_at(&self.url_with(query))
    }

    fn url_with(&self, query: &str) -> String {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{separator}{query}", self.url)
    }

    /// A Python process for one test alone, on another broker or virtual host.
    pub(crate) fn peer_at(&self, url: &str) -> Peer {
        Peer::start(&self.python, url).expect("the Python peer starts")
    }

    /// A name that no other test and no earlier run uses, so that tests share a broker without meeting.
    pub(crate) fn unique(&self, what: &str) -> String {
        format!("{what}-{}-{}", std::process::id(), self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// Ends the shared peers, with whatever they still serve.
    pub(crate) async fn close(&self) {
        for peer in [&self.peer, &self.second_peer].into_iter().filter_map(OnceCell::get) {
            peer.quit().await;
        }
    }
}

/// A driver of our own for `url`.
pub(crate) async fn transport(url: &str) -> AmqpTransport {
    let url = TransportUrl::parse(url).expect("the variable holds a URL");
    AmqpTransport::connect(&url, AmqpConfig::default(), soon()).await.expect("the broker is there")
}
