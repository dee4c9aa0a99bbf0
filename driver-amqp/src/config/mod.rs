//! The settings of the driver, their defaults, and the checks before a connect.

pub(crate) mod login;
pub(crate) mod options;
mod setters;
pub(crate) mod tls;

use std::num::NonZeroU16;
use std::time::Duration;

use oslo_messaging::driver::Message;
use oslo_messaging::wire::Compression;
use oslo_messaging::wire::compression::HEADER;
use oslo_messaging::{Error, ErrorKind, Result};
use tracing::warn;

use crate::config::login::Login;
use crate::config::tls::Tls;

/// lapin walks over every unconfirmed publish for a confirm of several,
/// so a wider window would cost more than it gains.
const WIDEST_WINDOW: usize = 4_096;
/// AMQP has 16 bits for the heartbeat in seconds.
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(u16::MAX as u64);
/// RabbitMQ's default heartbeat, assumed where `heartbeat` is zero.
const BROKERS_HEARTBEAT: Duration = Duration::from_secs(60);

/// Timeouts, queue types, limits and TLS of an [`AmqpTransport`](crate::AmqpTransport).
/// Its URL has hosts, credentials and virtual host.
/// Each field has a `with_*` method; [`with_option`](Self::with_option) takes the names of the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of the reference, and they are independent")]
pub struct AmqpConfig {
    /// How long one host may take to accept a connection and finish the handshake. Default: 10 s.
    /// The lookup of its name and the TLS handshake are part of it.
    pub connect_timeout: Duration,
    /// How long the broker may take to answer one request, such as a declaration. Default: 15 s.
    /// It is also how long publishers wait after a reconnect for listeners to resubscribe.
    pub request_timeout: Duration,
    /// How old an unconfirmed publish may get before it fails with its channel. Default: 30 s.
    /// Time under a resource alarm does not count, because the broker confirms nothing then.
    pub confirm_timeout: Duration,
    /// The AMQP heartbeat, in whole seconds; the lower of this and the broker's counts.
    /// Each side sends one every half of it, and closes the connection after about twice of it in silence.
    /// Zero accepts the broker's, 60 s by default. Default: 10 s.
    ///
    /// On Linux a connection whose written bytes stay unacknowledged is closed after 20 s, whatever the heartbeat is.
    pub heartbeat: Duration,
    /// How many channels publish side by side, plus one for fanouts. Zero counts as one.
    /// A destination always uses the same one, which keeps its order. Default: 4.
    pub publish_channels: usize,
    /// How many publishes of one channel may be unconfirmed, 1 to 4,096. Others wait in this process.
    /// The work for each confirm grows with it. Default: 512.
    pub publish_window: usize,
    /// The largest body that is sent, in bytes. Default: 128 MiB, the limit of RabbitMQ 3. It counts after compression.
    /// RabbitMQ 4 refuses more than 16 MiB by default, which is the same error, [`ErrorKind::TooLarge`].
    pub max_message_size: usize,
    /// How long the broker keeps a private queue without a consumer; zero keeps it forever. Default: 30 min.
    /// A stream of fanouts keeps each message for the same time.
    pub transient_queues_ttl: Duration,
    /// Whether shared queues and topic exchanges are declared durable. Default: no, as in the reference.
    /// On a broker that denies transient queues they are durable anyway, and fanout exchanges with them.
    pub durable_queues: bool,
    /// Whether shared queues are declared as quorum queues, which makes topic exchanges durable too. Default: no.
    /// Dead-letter queues are quorum queues then as well.
    pub quorum_queues: bool,
    /// Whether reply and fanout queues are declared as quorum queues,
    /// which makes fanout exchanges durable. Default: no.
    pub transient_quorum_queues: bool,
    /// How often the broker delivers a message of a shared quorum queue before it drops it.
    /// Zero leaves it to the broker: 20 from RabbitMQ 4.0 on.
    /// A negative value lifts the limit there; RabbitMQ 3 reads it as no redelivery,
    /// which is logged as a warning. Default: 0.
    pub quorum_delivery_limit: i32,
    /// The delivery limit that the broker gives quorum queues by default or by a policy,
    /// where `quorum_delivery_limit` is zero: a client cannot query it.
    /// A listener moves an event to the dead-letter queue instead of handling its last allowed delivery;
    /// a policy with a lower limit drops events before that.
    /// Zero is no limit. Default: none, which means 20 from RabbitMQ 4 on and no limit before.
    pub broker_delivery_limit: Option<u32>,
    /// How many messages of a shared quorum queue the broker keeps in memory; zero sets no limit.
    /// From RabbitMQ 3.10 on it has no effect, but is still compared, so every peer must set the same. Default: 0.
    pub quorum_max_memory_length: u64,
    /// How many bytes of such messages, with the same rules. Default: 0.
    pub quorum_max_memory_bytes: u64,
    /// The most unacknowledged messages of each consumer of a listener, one for each of its queues,
    /// where the core would allow more; zero sets no limit. Default: 0.
    pub max_prefetch: u16,
    /// The upper bound of the first wait before a reconnect, or before a cancelled consumer is restored.
    /// Each wait is random below its bound, and the bound doubles,
    /// or grows by `reconnect_backoff`. Default: 100 ms, the least.
    pub reconnect_wait: Duration,
    /// The highest bound of these waits, at least 100 ms. Default: 10 s.
    pub reconnect_wait_max: Duration,
    /// By how much the bound grows with each attempt, instead of doubling. Default: none, it doubles.
    pub reconnect_backoff: Option<Duration>,
    /// The lower bound of these waits, and of the one before another host is tried. Default: 0 s.
    pub reconnect_delay: Duration,
    /// The upper bound of a random addition to `reconnect_delay`. Default: 0 s.
    pub reconnect_splay: Duration,
    /// Whether the hosts are shuffled again whenever all were tried.
    /// Default: no, they keep their first random order.
    pub shuffle_hosts: bool,
    /// The least time between two checks of the queues and bindings of listeners; the longest is twice this.
    /// Two checks of one listener are at least 10 s apart, whatever is suspected. What is missing is declared again.
    /// A check is also made when a call times out or a publish finds its exchange missing.
    /// Zero turns all checks off. Default: 5 min.
    pub queue_checks: Duration,
    /// The SASL mechanism. Default: AMQPLAIN. `External` needs TLS with a client certificate.
    pub login: Login,
    /// Whether connections use TLS. Default: no; a URL with the scheme `amqps` turns it on.
    pub use_tls: bool,
    /// The trusted authorities and the client certificate, for TLS.
    /// Default: the authorities of the system, no certificate.
    /// They are ignored, with a warning, while TLS is off.
    pub tls: Tls,
    /// Whether shared queues and topic exchanges are deleted with their last consumer or binding. Default: no.
    /// Private queues are not: they must outlive a lost connection.
    pub auto_delete: bool,
    /// Whether reply and fanout queues have the same names after a restart of the process:
    /// `reply_<hostname>:<processname>:<number>`.
    /// They expire instead of being deleted. If another process consumes a queue of this name for two heartbeats,
    /// that is an error. Default: no, the names are random.
    pub stable_queue_names: bool,
    /// The host part of these names. Default: the host name of the system.
    /// It has no effect without `stable_queue_names`.
    pub hostname: Option<String>,
    /// The process part of these names. Default: the file name of the program.
    /// It has no effect without `stable_queue_names`.
    pub processname: Option<String>,
    /// Whether the servers of a topic read fanouts from one stream, which every peer must do too.
    /// Requires `transient_quorum_queues`. Default: no, each server has a fanout queue.
    pub stream_fanout: bool,
    /// How bodies are compressed that are sent uncompressed otherwise. Every peer can read it. Default: not at all.
    /// A body that is compressed already is sent as it is.
    pub compression: Option<Compression>,
    /// Whether replies have the delivery mode 2, with which a durable queue keeps them over a restart of the broker.
    /// One with mode 1 costs the broker and the call less, and survives a lost connection all the same.
    /// Every other message has mode 2, as in the reference.
    /// Default: none, which means where `durable_queues` or `quorum_queues` is set;
    /// not on a broker that makes shared queues durable by itself.
    pub persistent_replies: Option<bool>,
    /// Whether an existing object that differs from its declaration is an error instead of a warning. Default: no.
    /// An object of an unusable type is an error in any case, such as a stream in the place of a queue.
    pub strict: bool,
}

impl Default for AmqpConfig {
    /// The reference's defaults, except for the heartbeat,
    /// the waits before a reconnect, and settings that only this driver has.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(15),
            confirm_timeout: Duration::from_secs(30),
            heartbeat: Duration::from_secs(10),
            publish_channels: 4,
            publish_window: 512,
            max_message_size: 128 * 1024 * 1024,
            transient_queues_ttl: Duration::from_secs(1_800),
            durable_queues: false,
            quorum_queues: false,
            transient_quorum_queues: false,
            quorum_delivery_limit: 0,
            broker_delivery_limit: None,
            quorum_max_memory_length: 0,
            quorum_max_memory_bytes: 0,
            max_prefetch: 0,
            reconnect_wait: Duration::from_millis(100),
            reconnect_wait_max: Duration::from_secs(10),
            reconnect_backoff: None,
            reconnect_delay: Duration::ZERO,
            reconnect_splay: Duration::ZERO,
            shuffle_hosts: false,
            queue_checks: Duration::from_secs(300),
            login: Login::default(),
            use_tls: false,
            tls: Tls::default(),
            auto_delete: false,
            stable_queue_names: false,
            hostname: None,
            processname: None,
            stream_fanout: false,
            compression: None,
            persistent_replies: None,
            strict: false,
        }
    }
}

impl AmqpConfig {
    /// Durable shared queues: confirmed messages survive a restart of the broker.
    /// Every peer must set the same, because the broker refuses a queue with another durability.
    #[must_use]
    pub fn durable() -> Self {
        Self::default().with_durable_queues(true)
    }

    /// Quorum queues of every kind: confirmed messages survive the loss of a node.
    /// The same as `rabbit_quorum_queue` and `rabbit_transient_quorum_queue`, which every peer must set too.
    #[must_use]
    pub fn quorum() -> Self {
        Self { quorum_queues: true, transient_quorum_queues: true, ..Self::default() }
    }

    /// Whether replies have the delivery mode 2, as every other message has:
    /// by default only where shared queues are durable.
    pub(crate) fn writes_replies(&self) -> bool {
        self.persistent_replies.unwrap_or(self.durable_queues || self.quorum_queues)
    }

    /// Whether the driver declares anything as transient: an exchange or a shared queue.
    pub(crate) fn declares_transient(&self) -> bool {
        // The second part is about fanout exchanges, whose durability follows that option.
        !(self.durable_queues || self.quorum_queues) || !self.transient_quorum_queues
    }

    /// Refuses settings that AMQP cannot carry, and those that cannot work together.
    ///
    /// Fails with [`ErrorKind::Config`] for a publish window out of range, a timeout of zero,
    /// a heartbeat that AMQP cannot carry, and a setting without another that it requires.
    pub(crate) fn check(&self) -> Result<()> {
        if self.stream_fanout && !self.transient_quorum_queues {
            return Err(unusable()
                .with_context("option", "rabbit_stream_fanout")
                .with_context("reason", "requires `rabbit_transient_quorum_queue`"));
        }
        if !(1..=WIDEST_WINDOW).contains(&self.publish_window) {
            let error = unusable().with_context("publish_window", self.publish_window);
            return Err(error.with_context("reason", format_args!("must be 1 to {WIDEST_WINDOW}")));
        }
        for (name, time) in [
            ("connect_timeout", self.connect_timeout),
            ("request_timeout", self.request_timeout),
            ("confirm_timeout", self.confirm_timeout),
        ] {
            if time.is_zero() {
                return Err(unusable().with_context(name, "0 s").with_context("reason", "must be longer than zero"));
            }
        }
        if self.heartbeat.subsec_nanos() != 0 || self.heartbeat > LONGEST_HEARTBEAT {
            let error = unusable().with_context("heartbeat", format_args!("{:?}", self.heartbeat));
            return Err(
                error.with_context("reason", format_args!("must be whole seconds, at most {LONGEST_HEARTBEAT:?}"))
            );
        }
        Ok(())
    }

    /// Compresses the body of `message`, unless it is compressed already or no compression is configured.
    /// The header `compression` names the format, as kombu writes it.
    pub(crate) fn compressed(&self, mut message: Message) -> Message {
        if let Some(compression) = self.compression
            && !message.headers.contains_key(HEADER)
        {
            // The header says how to decompress it, and marks the body as compressed.
            message.body = compression.compress(&message.body);
            message = message.with_header(HEADER, compression.content_type());
        }
        message
    }

    /// How long the broker may take to notice that the previous consumer of a stable name has gone: two heartbeats.
    pub(crate) fn name_release_timeout(&self) -> Duration {
        2 * if self.heartbeat.is_zero() { BROKERS_HEARTBEAT } else { self.heartbeat }
    }

    /// The count for basic.qos, of a listener for which the core allows `window` unsettled messages.
    /// `max_prefetch` only lowers it, and zero does not.
    pub(crate) fn prefetch(&self, window: NonZeroU16) -> u16 {
        NonZeroU16::new(self.max_prefetch).map_or(window, |most| window.min(most)).get()
    }

    /// Warns about settings that have no effect. Not an error: a file that turns TLS off may keep its certificates.
    ///
    /// Called once per connect, after the query was applied.
    pub(crate) fn warn_of_idle(&self) {
        if !self.use_tls && self.tls != Tls::default() {
            warn!(
                "TLS files are configured but TLS is off; connections are in plain text: set `ssl = true` or use the scheme `amqps`"
            );
        }
    }

    /// Explains an `error` of the login. With TLS 1.3 a broker rejects a client certificate only
    /// after the handshake, and its reason may be lost with the connection.
    pub(crate) fn explain_end(&self, error: Error) -> Error {
        let shown = self.use_tls && self.tls.cert_file.is_some();
        if shown && error.kind() == ErrorKind::Disconnected {
            return error
                .with_context("reason", "the connection ended right after the TLS handshake; the broker may have rejected the client certificate");
        }
        error
    }
}

/// `Config`, in the operation of reading options; the caller adds which one and why.
fn unusable() -> Error {
    Error::new(ErrorKind::Config, "read options")
}

#[cfg(test)]
mod tests;
