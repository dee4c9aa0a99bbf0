//! One connection to a bus, shared by every client and server of a process.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::WallClock;
use crate::rpc::inbox::Inbox;
use crate::rpc::looks::Looks;
use crate::wire::Compression;
use crate::{
    Capabilities, ConfigFile, Deadline, Executed, Health, Listener, Registry, Result, Retry, Subscription, Transport,
    TransportUrl,
};

/// A connection to a message bus: make clients and servers from it.
///
/// Cheap to clone; every clone shares one transport, one reply inbox and the table of waiting calls. When the last
/// clone, client and server are gone, everything is released.
#[derive(Clone)]
pub struct Bus(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) inbox: Inbox,
    pub(crate) looks: Looks,
    pub(crate) clock: WallClock,
    pub(crate) default_exchange: String,
    pub(crate) timeout: Duration,
    pub(crate) retry: Retry,
    pub(crate) compression: Option<Compression>,
}

/// The settings of a [`Bus`].
#[derive(Debug)]
#[must_use]
pub struct BusBuilder {
    transport: Arc<dyn Transport>,
    default_exchange: String,
    timeout: Duration,
    retry: Retry,
    compression: Option<Compression>,
}

impl Bus {
    /// A bus over `transport` with the default settings.
    ///
    /// Must be called inside a tokio runtime.
    #[must_use]
    pub fn new(transport: impl Transport) -> Self {
        Self::builder(transport).build()
    }

    /// A bus over `transport` with settings of your own.
    pub fn builder(transport: impl Transport) -> BusBuilder {
        BusBuilder {
            transport: Arc::new(transport),
            default_exchange: "openstack".to_owned(),
            timeout: Duration::from_secs(60),
            retry: Retry::default(),
            compression: None,
        }
    }

    /// Connects to `url` with the driver that `registry` has for its scheme. A driver tries what may pass, such as a broker
    /// that only starts, again until the deadline.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the URL is not valid or no driver knows its scheme, and what
    /// the driver says: `Disconnected`, `Denied`, `Timeout`.
    pub async fn connect(url: &str, registry: &Registry, deadline: Deadline) -> Result<Self> {
        let url = TransportUrl::parse(url)?;
        Ok(Self::new(registry.connect(&url, deadline).await?))
    }

    /// Connects to where `file` says with the driver that `registry` has for it; takes the default exchange and the timeout
    /// of calls from there too. A driver's own settings come with its connector.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); [`ErrorKind::Config`](crate::ErrorKind::Config) also for a timeout that is none.
    pub async fn configured(file: &ConfigFile, registry: &Registry, deadline: Deadline) -> Result<Self> {
        let timeout = file.rpc_response_timeout()?;
        let transport = registry.connect(&file.transport_url()?, deadline).await?;
        Ok(Self::builder(transport).default_exchange(file.control_exchange()).timeout(timeout).build())
    }

    /// What the driver can do.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.0.transport.capabilities()
    }

    /// The state of the connection, and every later change of it.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.0.transport.health()
    }

    /// How many calls wait for their reply.
    #[must_use]
    pub fn calls_in_flight(&self) -> usize {
        self.0.inbox.calls_in_flight()
    }

    /// Ends every waiting call with `Closed`, deletes the reply inbox and closes the connections. Idempotent.
    ///
    /// Stop your servers first: what they have not answered is lost or comes back to another server.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) if the broker did not answer in time; everything is released
    /// all the same.
    pub async fn close(&self, deadline: Deadline) -> Result<()> {
        self.0.inbox.close(deadline).await;
        self.0.transport.close(deadline).await
    }
}

impl Inner {
    /// Subscribes, and tries again what may pass, as patiently as the bus is set to.
    ///
    /// # Errors
    /// What [`Transport::subscribe`] says.
    pub(crate) async fn subscribe(&self, to: &Subscription, deadline: Deadline) -> Result<Box<dyn Listener>> {
        // Nothing runs because somebody listens, so one that may have succeeded is tried again like any other.
        let attempt = async || {
            let tried = self.transport.subscribe(to, deadline).await;
            tried.map_err(|error| error.with_executed(Executed::No))
        };
        self.retry.run(deadline, attempt).await
    }
}

impl BusBuilder {
    /// The topic exchange of targets that name none. Default: `openstack`, as the reference's `control_exchange`.
    ///
    /// Queues are shared by topic name, not by exchange: see [`Target::exchange`](crate::Target#structfield.exchange).
    pub fn default_exchange(mut self, exchange: impl Into<String>) -> Self {
        self.default_exchange = exchange.into();
        self
    }

    /// How long a call or a cast may take in all. Default: 60 s, as the reference's `rpc_response_timeout`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often a publish that certainly did not happen, or opening the reply inbox, is tried again. Default: until the
    /// deadline.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Compresses every body that is written. Every peer reads it. Default: none.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// The bus. Must be called inside a tokio runtime.
    #[must_use]
    pub fn build(self) -> Bus {
        Bus(Arc::new(Inner {
            inbox: Inbox::new(Arc::clone(&self.transport), self.retry),
            looks: Looks::default(),
            transport: self.transport,
            clock: WallClock::start(),
            default_exchange: self.default_exchange,
            timeout: self.timeout,
            retry: self.retry,
            compression: self.compression,
        }))
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("transport", &self.0.transport)
            .field("default_exchange", &self.0.default_exchange)
            .field("calls_in_flight", &self.calls_in_flight())
            .finish_non_exhaustive()
    }
}
