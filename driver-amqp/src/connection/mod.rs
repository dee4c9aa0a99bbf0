//! One connection to one broker: opened under a deadline, and closed or shut down on demand.

pub(crate) mod addresses;
pub(crate) mod channel;
pub(crate) mod deferred_eof;
pub(crate) mod endpoint;
pub(crate) mod eof_signal;
pub(crate) mod handshake;
pub(crate) mod hosts;
pub(crate) mod kill_switch;
pub(crate) mod stream;
pub(crate) mod tls_records;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::BoxStream;
use lapin::{ConnectionState, ErrorKind as Lapin};
use oslo_messaging::{Deadline, Error, Executed, Result};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use crate::brokers::channel_quota::{AMPLE, Admission, LINGER, Permit};
use crate::config::AmqpConfig;
use crate::config::tls::explain;
use crate::connection::addresses::{race, resolve};
use crate::connection::channel::{Channel, Channels};
use crate::connection::endpoint::Endpoint;
use crate::connection::handshake::{reach, shake_hands};
use crate::connection::kill_switch::{KillSwitch, unless_ended};
use crate::connection::stream::{StreamObservers, plain, secured};
use crate::errors::{is_channel_limit, lost, translate};
use crate::frames::{Notices, ServerVersion};
use crate::peer::Peer;

/// How long to wait for the answer to connection.close.
/// Everything that was promised is done before it is sent, so a missing answer,
/// which lapin loses now and then under load, costs nothing.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often to check whether lapin has processed the answer to connection.close.
const LAPIN_TURN: Duration = Duration::from_millis(1);

/// A connection. Dropping it shuts its socket down, so that lapin's thread ends even if the broker never answers.
/// It can shut its socket at any time, whatever lapin does with the stream. The supervisor decides when it is given up.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Its thread reads and writes the socket until the connection ends.
    lapin: lapin::Connection,
    /// `host:port` of the broker, for errors.
    host: String,
    /// Ends everything that waits on the connection.
    socket: KillSwitch,
    /// Filled on lapin's thread, read by publishers and listeners.
    notices: Arc<Notices>,
    /// For the trial connections of the channel quota.
    endpoint: Endpoint,
    /// For trial connections, which use the same settings.
    config: AmqpConfig,
    /// The limit of each request, whatever the caller's deadline is.
    request_timeout: Duration,
    /// Whether channel numbers were lost to closed channels, see [`is_of_another`].
    numbers_lost: AtomicBool,
    /// The last field: the channels must outlive the socket.
    channels: Arc<Channels>,
}

impl Connection {
    /// Connects to one broker, trying the addresses of its name.
    /// Each gets an equal share of the remaining time. Bounded by `connect_timeout` as well.
    ///
    /// Cancellation shuts the socket, so the thread of lapin ends.
    ///
    /// Fails with `Timeout` if the broker does not answer in time, `Disconnected` if it cannot be reached, `Denied`
    /// for the credentials, `Config` for an unknown virtual host and for a `frame_max` of the broker below 8,192 bytes.
    pub(crate) async fn open(endpoint: &Endpoint, config: &AmqpConfig, deadline: Deadline) -> Result<Self> {
        // The name lookup counts too: a resolver can hang as well as a host.
        let deadline = deadline.min(Deadline::after(config.connect_timeout));
        let opening = async {
            let addresses = resolve(&endpoint.host, endpoint.port).await.map_err(|error| explain(&error))?;
            Self::open_at(addresses, endpoint, config, deadline).await
        };
        let opened = deadline.run("connect", opening).await.unwrap_or_else(|timeout| Err(unanswered(timeout)));
        opened.map_err(|error| endpoint.explain(error))
    }

    /// Connects to the first of `addresses` that accepts.
    /// If the handshake fails there with a temporary error, tries the others.
    ///
    /// A permanent error ends the attempts: each address is taken for the same broker.
    async fn open_at(
        mut addresses: Vec<SocketAddr>,
        endpoint: &Endpoint,
        config: &AmqpConfig,
        deadline: Deadline,
    ) -> Result<Self> {
        let mut failed = None;
        loop {
            let (address, stream) = match (race(&addresses, reach).await, failed) {
                (Ok(reached), _) => reached,
                // The error of an address that accepted says more than that of one that did not.
                (Err(_), Some(earlier)) => return Err(earlier),
                (Err(error), None) => return Err(explain(&error)),
            };
            // One that accepted and then failed is not tried twice.
            addresses.retain(|other| *other != address);
            let shares = u32::try_from(addresses.len() + 1).unwrap_or(u32::MAX);
            let share = Deadline::after(deadline.remaining() / shares);
            let opened = share.run("connect", Box::pin(Self::over(stream, endpoint, config))).await;
            match opened.unwrap_or_else(|timeout| Err(unanswered(timeout))) {
                Err(error) if error.is_transient() && !addresses.is_empty() => {
                    debug!(%error, %address, "the driver could not connect to one address of the broker; it tries the next one");
                    failed = Some(error);
                }
                opened => return opened,
            }
        }
    }

    /// Performs the TLS and AMQP handshakes on a connected socket. The caller limits the time.
    /// The error tells a peer that is no broker, a rejected certificate and a login that is too long apart.
    async fn over(stream: TcpStream, endpoint: &Endpoint, config: &AmqpConfig) -> Result<Self> {
        let socket = KillSwitch::of(&stream).map_err(|error| explain(&error))?;
        let (peer, notices) = (Peer::default(), Arc::<Notices>::default());
        let known = StreamObservers {
            ended: socket.ended.clone(),
            close_progress: socket.close_progress.clone(),
            peer: peer.clone(),
            notices: Arc::clone(&notices),
        };
        let wire = if config.use_tls {
            secured(Box::pin(config.tls.wrap(stream, &endpoint.host)).await?, known)
        } else {
            plain(stream, known)
        };
        let failed = |error| peer.explain(endpoint.explain_end(config.explain_end(error)));
        let shaken = unless_ended(&socket.ended, Box::pin(shake_hands(endpoint, config, wire))).await;
        let shaken = shaken.ok_or_else(|| failed(lost("connect", "the connection ended during the handshake")))?;
        let lapin = shaken.map_err(|error| failed(translate("connect", &error)))?;
        Ok(Self {
            lapin,
            host: endpoint.name(),
            socket,
            notices,
            endpoint: endpoint.clone(),
            config: config.clone(),
            request_timeout: config.request_timeout,
            numbers_lost: AtomicBool::new(false),
            channels: Arc::default(),
        })
    }

    /// Opens a channel. If the broker's channel limit is known, probes it on a separate connection first,
    /// because the broker closes the connection that exceeds it.
    ///
    /// Fails with `Refused`, transient, at the channel limit;
    /// `Disconnected` also if the connection is abandoned because it has no usable channel number left;
    /// `Config` if all numbers are in use; `Timeout` if the broker does not answer.
    ///
    /// Cancellation gives the permit back, so the quota counts no channel.
    pub(crate) async fn channel(&self, deadline: Deadline) -> Result<Channel> {
        let permit = self.permit(deadline).await?;
        match self.open_channel(deadline).await {
            Ok(channel) => {
                permit.opened(channel.status().clone());
                Ok(channel)
            }
            Err(error) => {
                if is_channel_limit(&error) {
                    permit.exceeded(&error);
                }
                Err(error)
            }
        }
    }

    /// Asks the quota for one more channel. Retries for a moment, because a closed channel is counted a little longer.
    /// Fails with the quota's error after 1.5 s.
    async fn permit(&self, deadline: Deadline) -> Result<Permit> {
        let patience = Instant::now() + 3 * LINGER;
        loop {
            match self.endpoint.quota.admit() {
                Admission::Granted(permit) => return Ok(permit),
                Admission::Ask => {
                    let room = self.room(deadline).await;
                    self.endpoint.quota.found(room);
                }
                Admission::Refused(error) if Instant::now() >= patience => return Err(error),
                Admission::Refused(_) => sleep(LINGER / 10).await,
            }
        }
    }

    /// How many more channels, up to [`AMPLE`], the broker accepts: tried on a separate connection, which it may close.
    /// 0 if no connection can be opened. It ends after the broker no longer counts the trial.
    async fn room(&self, deadline: Deadline) -> usize {
        let Ok(trial) = self.open_another(deadline).await else { return 0 };
        let mut channels = Vec::new();
        while channels.len() < AMPLE {
            match trial.open_channel(deadline).await {
                Ok(channel) => channels.push(channel),
                Err(_) => break,
            }
        }
        // Without an orderly close: the broker may have closed it already, and its answer is not needed.
        trial.abandon();
        let room = channels.len();
        sleep(LINGER).await;
        room
    }

    /// lapin picks the number. One that an earlier channel made unusable stays so, and the next one is tried.
    async fn open_channel(&self, deadline: Deadline) -> Result<Channel> {
        const OPERATION: &str = "open channel";
        let opening = async {
            loop {
                match self.lapin.create_channel().await {
                    Err(error) if is_of_another(&error) => {
                        if !self.is_connected() {
                            return Err(Lapin::InvalidConnectionState(ConnectionState::Closed).into());
                        }
                        self.numbers_lost.store(true, Ordering::Relaxed);
                        // lapin answers at once, and there may be many such numbers.
                        yield_now().await;
                    }
                    Err(error) if matches!(error.kind(), Lapin::ChannelsLimitReached) => return Ok(None),
                    opened => return opened.map(Some),
                }
            }
        };
        if let Some(channel) = self.ask(OPERATION, deadline, opening).await? {
            return Ok(self.channels.hold(channel));
        }
        let error = if self.numbers_lost.load(Ordering::Relaxed) {
            warn!("a connection has no usable channel number left; the driver closes it and reconnects");
            self.abandon();
            lost(OPERATION, "the connection has no usable channel number left")
        } else {
            translate(OPERATION, &Lapin::ChannelsLimitReached.into())
        };
        Err(error.with_executed(Executed::No).with_context("host", &self.host))
    }

    /// Waits for the broker's answer to one request, for at most `request_timeout`.
    ///
    /// Fails with lapin's error; `Timeout`, executed `No`; `Disconnected` if the connection ended. Each names the host.
    ///
    /// After a cancellation, a request that was written stays written, and its answer is dropped.
    pub(crate) async fn ask<T>(
        &self,
        operation: &'static str,
        deadline: Deadline,
        request: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T> {
        // The broker answers or is stuck; a long deadline of a caller would hide the latter.
        let deadline = deadline.min(Deadline::after(self.request_timeout));
        let heard = self.run_until(deadline, operation, self.hear(operation, Box::pin(request))).await;
        // A request carries no message, so nothing was executed.
        heard.map_err(|timeout| timeout.with_executed(Executed::No))?
    }

    /// Waits until `deadline` for `waiting`, which needs this broker.
    ///
    /// Fails with `Timeout`, which names the host. Cancellation drops `waiting`.
    pub(crate) async fn run_until<T>(
        &self,
        deadline: Deadline,
        operation: &'static str,
        waiting: impl Future<Output = T>,
    ) -> Result<T> {
        deadline.run(operation, waiting).await.map_err(|timeout| timeout.with_context("host", &self.host))
    }

    /// Waits for a result of lapin while the connection lives.
    ///
    /// It has no deadline: it is for writes, whose end lapin reports or the end of the connection replaces.
    ///
    /// Fails with lapin's error; `Disconnected` if the connection ended and lapin does not resolve the request.
    pub(crate) async fn hear<T>(
        &self,
        operation: &'static str,
        request: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T> {
        let heard = match unless_ended(&self.socket.ended, request).await {
            Some(said) => said.map_err(|error| translate(operation, &error)),
            None => Err(lost(operation, "the connection is closed")),
        };
        heard.map_err(|error| error.with_context("host", &self.host))
    }

    /// Opens another connection to the same broker with the same settings.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Cancellation
    /// Shuts the new socket.
    pub(crate) async fn open_another(&self, deadline: Deadline) -> Result<Self> {
        Box::pin(Self::open(&self.endpoint, &self.config, deadline)).await
    }

    /// `host:port` of the broker, for errors and logs.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// How many channels both sides agreed on. RabbitMQ offers 2,047 by default.
    pub(crate) fn channel_max(&self) -> u16 {
        match self.lapin.configuration().channel_max() {
            // AMQP 0-9-1, connection.tune: 0 is no limit.
            0 => u16::MAX,
            channels => channels,
        }
    }

    /// lapin's view, which may lag behind the socket: a request may still find the connection closed.
    pub(crate) fn is_connected(&self) -> bool {
        self.lapin.status().connected()
    }

    /// The largest frame that the broker accepts, in bytes. Without a limit of the broker, `usize::MAX`.
    pub(crate) fn frame_max(&self) -> usize {
        match self.lapin.configuration().frame_max() {
            0 => usize::MAX,
            bytes => usize::try_from(bytes).unwrap_or(usize::MAX),
        }
    }

    /// The version that the broker sent before login; `None` if it sent none.
    pub(crate) fn server_version(&self) -> Option<ServerVersion> {
        self.notices.server_version()
    }

    /// The reports of the frame reader of this connection, to which lapin's thread adds.
    pub(crate) fn notices(&self) -> &Arc<Notices> {
        &self.notices
    }

    /// A new subscription to lapin's events of this connection. It misses earlier events.
    /// To be followed by a check of the state, or an end in between is never seen.
    pub(crate) fn events(&self) -> BoxStream<'static, lapin::Event> {
        Box::pin(self.lapin.events_listener())
    }

    /// Shuts the socket without an AMQP close: every pending operation fails. Final, and it may be called repeatedly.
    pub(crate) fn abandon(&self) {
        self.socket.shut();
    }

    /// From now on keeps the channels that are dropped, because [`close`](Self::close) is next.
    /// To be called before their users see that the transport closes.
    pub(crate) fn keep_channels(&self) {
        self.channels.keep();
    }

    /// Sends connection.close and waits for the answer, for at most [`CLOSE_TIMEOUT`];
    /// shuts the socket either way. Waits first for the channels that are closing.
    ///
    /// After a cancellation the socket stays open until the connection is dropped.
    ///
    /// Fails with `Timeout`, which names the host, if the answer does not come
    /// by a `deadline` that is earlier than that.
    pub(crate) async fn close(&self, deadline: Deadline) -> Result<()> {
        self.channels.keep();
        let closing = async {
            self.channels.closed().await;
            self.socket.close_progress.begun.cancel();
            self.lapin.close(200, "closed".into()).await?;
            // lapin notes the answer in a task of its own, and until then takes the end of the socket
            // for a loss.
            while self.lapin.status().closing() {
                sleep(LAPIN_TURN).await;
            }
            Ok::<_, lapin::Error>(())
        };
        // A connection that has ended already counts as closed.
        let answered = timeout(CLOSE_TIMEOUT, unless_ended(&self.socket.ended, closing));
        let closed = self.run_until(deadline, "close", answered).await;
        self.socket.shut();
        self.channels.clear();
        if closed?.is_err() {
            warn!(
                host = self.host,
                "the broker did not answer connection.close within {CLOSE_TIMEOUT:?}; the driver closes the socket"
            );
        }
        Ok(())
    }
}

/// Whether `error` belongs to an earlier channel. lapin gives the reason
/// for which the broker closed a channel to the next one of its number, and that number stays unusable.
/// For the new channel itself the broker can only answer that it is open, or close the connection.
fn is_of_another(error: &lapin::Error) -> bool {
    error.is_amqp_soft_error() || matches!(error.kind(), Lapin::InvalidChannelState(..))
}

/// `Timeout`, executed `No`: nothing is published before a connection is open.
fn unanswered(timeout: Error) -> Error {
    timeout.with_context("reason", "the broker did not answer in time").with_executed(Executed::No)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One address swallows packets, since its queue of connections is full,
    /// the next accepts and never answers, and the last one is tried all the same.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn every_address_of_a_name_has_its_share_of_the_time() {
        let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        full.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        full.listen(0).unwrap();
        let hole = full.local_addr().unwrap().as_socket().unwrap();
        let mut waiting = Vec::new();
        while let Ok(Ok(stream)) = timeout(Duration::from_millis(300), TcpStream::connect(hole)).await {
            waiting.push(stream);
        }
        let [silent, last] = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        last.set_nonblocking(true).unwrap();
        let last = tokio::net::TcpListener::from_std(last).unwrap();
        let addresses = vec![hole, silent.local_addr().unwrap(), last.local_addr().unwrap()];
        let url = oslo_messaging::config::TransportUrl::parse("rabbit://several/").unwrap();
        let config = AmqpConfig::default();
        let endpoint = crate::connection::hosts::Hosts::of(&url, &config).unwrap().next().clone();
        let deadline = Deadline::after(Duration::from_secs(4));
        let opening = Connection::open_at(addresses, &endpoint, &config, deadline);
        tokio::select! {
            opened = opening => panic!("no address answers: {opened:?}"),
            reached = last.accept() => drop(reached.unwrap()),
        }
        assert!(!deadline.has_passed());
        drop(waiting);
    }
}
