//! One connection to a bus, shared by every client and server of a process.

pub(crate) mod health;
pub(crate) mod inbox;
pub(crate) mod inspections;
pub(crate) mod waiting_calls;
pub(crate) mod wall_clock;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use self::health::BusHealth;
use self::inbox::Inbox;
use self::inspections::Inspections;
use self::wall_clock::WallClock;
use crate::decoding::{DEFAULT_BUDGET, Decoding};
use crate::driver::{Capabilities, Listener, Subscription, Transport};
use crate::url::TransportUrl;
use crate::wire::{Compression, compression};
use crate::{ConfigFile, Deadline, Executed, Health, Registry, Result, Retry};

/// A connection to a message bus, from which clients, servers, notifiers and listeners are made.
///
/// Cheap to clone; every clone shares one transport, one reply inbox and the table of waiting calls. When the last
/// clone, client and server are gone, everything is released.
#[derive(Clone)]
pub struct Bus(pub(crate) Arc<Inner>);

/// Shared by the clones, clients and servers of a bus; the last of them releases it.
pub(crate) struct Inner {
    pub(crate) transport: Arc<dyn Transport>,
    /// Opened by the first call.
    pub(crate) inbox: Inbox,
    pub(crate) inspections: Inspections,
    pub(crate) clock: WallClock,
    /// The topic exchange of targets without one.
    pub(crate) default_exchange: String,
    /// The default timeout of calls, casts and events.
    pub(crate) timeout: Duration,
    /// The default retries of publishes.
    pub(crate) retry: Retry,
    pub(crate) compression: Option<Compression>,
    /// How many methods and handlers run at once where their builders do not say.
    pub(crate) concurrency: Option<usize>,
    /// Whether servers answer pings where their builders do not say.
    pub(crate) ping: bool,
    /// Where the transport was connected to, as far as that is known here.
    pub(crate) url: Option<TransportUrl>,
    /// Bounds one decompressed body, and the decoded bytes that the whole bus has in hand.
    pub(crate) decoding: Decoding,
    /// After the transport, whose last state it passes on.
    pub(crate) health: BusHealth,
}

/// The settings of a [`Bus`]; each setter names its default. Nothing runs before [`build`](Self::build).
#[derive(Debug)]
#[must_use]
pub struct BusBuilder {
    transport: Arc<dyn Transport>,
    default_exchange: String,
    timeout: Duration,
    retry: Retry,
    compression: Option<Compression>,
    concurrency: Option<usize>,
    ping: bool,
    url: Option<TransportUrl>,
    decompressed_limit: usize,
    decompressed_budget: usize,
}

impl Bus {
    /// A bus over `transport` with the default settings.
    ///
    /// Must be called inside a tokio runtime.
    #[must_use]
    pub fn new(transport: impl Transport) -> Self {
        Self::builder(transport).build()
    }

    /// Starts from the defaults; [`build`](BusBuilder::build) makes the bus, and only that needs a tokio runtime.
    pub fn builder(transport: impl Transport) -> BusBuilder {
        BusBuilder {
            transport: Arc::new(transport),
            default_exchange: "openstack".to_owned(),
            timeout: Duration::from_secs(60),
            retry: Retry::default(),
            compression: None,
            concurrency: None,
            ping: false,
            url: None,
            decompressed_limit: compression::LIMIT,
            decompressed_budget: DEFAULT_BUDGET,
        }
    }

    /// Connects to `url` with the driver that `registry` has for its scheme.
    /// A driver repeats until the deadline what may pass, such as a connection to a broker that is still starting.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if the URL is not valid or no driver knows its scheme, and what
    /// the driver says: `Disconnected`, `Denied`, `Timeout`.
    pub async fn connect(url: &str, registry: &Registry, deadline: Deadline) -> Result<Self> {
        let url = TransportUrl::parse(url)?;
        let transport = registry.connect(&url, deadline).await?;
        Ok(Self::builder(transport).connected_to(url).build())
    }

    /// Connects to where `file` says with the driver that `registry` has for it; takes the default exchange, the
    /// timeout of calls, the concurrency of servers and listeners and whether servers answer pings from there too. A
    /// driver's own settings come with its connector.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for an option with a wrong value,
    /// and what [`connect`](Self::connect) fails with.
    ///
    /// # Cancellation
    /// A dropped future leaves no connection behind.
    pub async fn from_config(file: &ConfigFile, registry: &Registry, deadline: Deadline) -> Result<Self> {
        Self::at(file.transport_url()?, file, registry, deadline).await
    }

    /// The bus of notifications: the reference's `get_notification_transport`.
    ///
    /// It is made as by [`from_config`](Self::from_config), but connected to
    /// [`notification_transport_url`](ConfigFile::notification_transport_url). Where the file gives
    /// notifications no URL of their own, it goes to the same broker over connections of its own.
    ///
    /// # Errors
    /// As [`from_config`](Self::from_config), for the URL of notifications.
    ///
    /// # Cancellation
    /// A dropped future leaves no connection behind.
    pub async fn from_config_for_notifications(
        file: &ConfigFile,
        registry: &Registry,
        deadline: Deadline,
    ) -> Result<Self> {
        Self::at(file.notification_transport_url()?, file, registry, deadline).await
    }

    /// Connects to `url` with the settings of `file`. They are read first: a wrong one costs no connection.
    async fn at(url: TransportUrl, file: &ConfigFile, registry: &Registry, deadline: Deadline) -> Result<Self> {
        let (exchange, timeout) = (file.resolved_exchange()?, file.rpc_response_timeout()?);
        let (concurrency, ping) = (file.executor_thread_pool_size()?, file.rpc_ping_enabled()?);
        let transport = registry.connect(&url, deadline).await?;
        let builder = Self::builder(transport).default_exchange(exchange).timeout(timeout).ping(ping);
        let builder = concurrency.into_iter().fold(builder, BusBuilder::concurrency);
        Ok(builder.connected_to(url).build())
    }

    /// What the driver can do, so that a program need not find out by [`Unsupported`](crate::ErrorKind::Unsupported).
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.0.transport.capabilities()
    }

    /// The state of the connection with the parts of this bus that do not work, and every later change of it.
    ///
    /// A listener whose dead-letter queue cannot be declared, or refuses events, is such a part.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.0.health.subscribe()
    }

    /// How many calls wait for their reply now. A call that timed out or was dropped does not count.
    #[must_use]
    pub fn calls_in_flight(&self) -> usize {
        self.0.inbox.calls_in_flight()
    }

    /// Ends every waiting call with `Closed`, deletes the reply inbox and closes the connections. Idempotent.
    ///
    /// Shut servers and listeners down first:
    /// requests that they have not answered are lost, or delivered to another server.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) if the broker did not answer in time;
    /// everything is released all the same.
    pub async fn close(&self, deadline: Deadline) -> Result<()> {
        self.0.inbox.close(deadline).await;
        self.0.transport.close(deadline).await
    }
}

impl Inner {
    /// Subscribes, and repeats transient errors as the retries of the bus permit.
    ///
    /// Errors: what the last attempt of [`Transport::subscribe`] failed with, executed `No`.
    pub(crate) async fn subscribe(&self, to: &Subscription, deadline: Deadline) -> Result<Box<dyn Listener>> {
        // Subscribing runs no method, so an attempt that may have succeeded is repeated like any other.
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

    /// How often the bus repeats a publish that certainly did not happen,
    /// and the opening of the reply inbox. Default: until the deadline.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Compresses every body that is written. Every peer reads it. Default: none.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// How many methods each server of the bus runs at once, and how many handlers each listener, unless its own
    /// builder says; as the reference's `executor_thread_pool_size`. Default: 64 methods, 50 handlers, one of a batch.
    pub fn concurrency(mut self, running: usize) -> Self {
        self.concurrency = Some(running);
        self
    }

    /// Whether each server of the bus answers `oslo_rpc_server_ping`, as the reference's `rpc_ping_enabled`. Default:
    /// no, unless its own builder says so.
    pub fn ping(mut self, answered: bool) -> Self {
        self.ping = answered;
        self
    }

    /// Keeps the URL, by which a notifier checks that its configuration file means this bus.
    fn connected_to(mut self, url: TransportUrl) -> Self {
        self.url = Some(url);
        self
    }

    /// How many bytes a compressed body may have once it is decompressed. Default: 64 MiB.
    ///
    /// There is no limit on the ratio, since valid JSON may shrink a hundredfold. Over the limit decompression ends: an
    /// event becomes a dead letter with the reason, a request or a reply is dropped with a warning and counted in
    /// `oslo_messaging_undecodable_total`. A body that came uncompressed is bounded by the broker.
    pub fn decompressed_limit(mut self, bytes: usize) -> Self {
        self.decompressed_limit = bytes;
        self
    }

    /// How many decoded bytes all servers, listeners and the reply inbox of the bus may have in hand. Default: 256 MiB.
    ///
    /// Three quarters are for requests and events, until they are settled; one is for replies, until their calls have
    /// them. Where the share is full, nothing more is taken from the broker, with a warning; nothing is dropped for it.
    /// Bodies of up to 4 KiB do not count.
    ///
    /// # Memory
    /// The bodies of each share stay under its size, but for one body on top of it, and for each server, listener and
    /// inbox what it took with its last poll, each up to 1 MiB; beside them one body over 1 MiB is decoded at a time
    /// for each share, which takes up to four times its length meanwhile.
    /// What a handler makes of its arguments, or a call of its result, is its own.
    ///
    /// # Order
    /// A body over 1 MiB is decoded on a blocking task. Its message keeps its place in the order for 100 ms from when
    /// it was taken; then those behind it pass.
    pub fn decompressed_budget(mut self, bytes: usize) -> Self {
        self.decompressed_budget = bytes;
        self
    }

    /// Starts to forward the health of the transport, so it must be called inside a tokio runtime.
    #[must_use]
    pub fn build(self) -> Bus {
        let decoding = Decoding::new(self.decompressed_limit, self.decompressed_budget);
        Bus(Arc::new(Inner {
            health: BusHealth::start(self.transport.health()),
            inbox: Inbox::new(Arc::clone(&self.transport), self.retry, decoding.clone()),
            decoding,
            inspections: Inspections::default(),
            transport: self.transport,
            clock: WallClock::start(),
            default_exchange: self.default_exchange,
            timeout: self.timeout,
            retry: self.retry,
            compression: self.compression,
            concurrency: self.concurrency,
            ping: self.ping,
            url: self.url,
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
