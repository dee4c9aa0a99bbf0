//! The settings of the driver, and how a URL gives them.

pub(crate) mod login;
pub(crate) mod options;
mod setters;
pub(crate) mod tls;

use std::num::NonZeroU16;
use std::time::Duration;

use oslo_messaging::wire::Compression;
use oslo_messaging::wire::compression::HEADER;
use oslo_messaging::{Error, ErrorKind, Message, Result};
use tracing::warn;

use crate::config::login::Login;
use crate::config::tls::Tls;

/// lapin walks through all that is unconfirmed for each confirm of several, so more would cost more than it gains.
const WIDEST_WINDOW: usize = 4_096;
/// AMQP has 16 bits for it.
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(u16::MAX as u64);
/// The heartbeat of a broker that nobody has told another.
const BROKERS_HEARTBEAT: Duration = Duration::from_secs(60);

/// The settings of an [`AmqpTransport`](crate::AmqpTransport). Hosts, credentials and virtual host come from the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of the reference, and they are independent")]
pub struct AmqpConfig {
    /// How long one host may take to accept a connection and finish the handshake. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long the broker may take to answer one declaration or other request. Default: 15 s.
    pub request_timeout: Duration,
    /// How old an unconfirmed publish may get before its channel is given up. Default: 30 s.
    pub confirm_timeout: Duration,
    /// The heartbeat of AMQP, in whole seconds, of which the lower counts that we and the broker want. Each side says every
    /// half of it that it is there, and gives the connection up after about twice of it in silence. Zero leaves it to the
    /// broker, which wants 60 s unless it is told otherwise. Default: 10 s.
    ///
    /// On Linux a connection whose bytes nobody acknowledges is given up after 20 s, however long this is.
    pub heartbeat: Duration,
    /// How many tasks publish, each on a channel of its own. One destination always has the same. Default: 4.
    pub publish_channels: usize,
    /// How many publishes of one lane may wait for their confirm, 1 to 4,096: what is above it waits in this process, and
    /// the work for each confirm grows with it. Default: 512.
    pub publish_window: usize,
    /// The largest body that is sent, in bytes. Default: 128 MiB, the limit of RabbitMQ 3; RabbitMQ 4 refuses more than
    /// 16 MiB unless it is told otherwise, which is then [`ErrorKind::TooLarge`] all the same.
    pub max_message_size: usize,
    /// How long a private queue outlives its reader; zero for ever. Default: 30 min.
    pub transient_queues_ttl: Duration,
    /// Whether shared queues and topic exchanges are declared durable. Default: no, as the reference; on a broker that
    /// denies transient queues they are durable all the same, and fanout exchanges with them.
    pub durable_queues: bool,
    /// Whether shared queues are declared as quorum queues, which makes topic exchanges durable too. Default: no.
    pub quorum_queues: bool,
    /// Whether reply and fanout queues are declared as quorum queues, which makes fanout exchanges durable. Default: no.
    pub transient_quorum_queues: bool,
    /// How often a shared quorum queue hands a message over before it drops it; zero leaves it to the broker, which
    /// from RabbitMQ 4.0 on says 20. A negative one lifts the limit there; RabbitMQ 3 reads it as zero redeliveries, of
    /// which a warning is logged. Default: 0.
    pub quorum_delivery_limit: i32,
    /// The delivery limit that the broker gives quorum queues by itself or by a policy, where `quorum_delivery_limit` is
    /// zero: a client cannot ask for it. A listener moves an event to the dead-letter queue instead of running it on the
    /// last delivery that the limit allows; a policy with a lower limit than is said here drops events before that. Zero
    /// is no limit. Default: none, so 20 on RabbitMQ 4 or newer and no limit on older ones.
    pub broker_delivery_limit: Option<u32>,
    /// How many messages of a shared quorum queue the broker keeps in memory; zero sets no limit. From RabbitMQ
    /// 3.10 on it keeps none, and compares it all the same: every peer must have it too. Default: 0.
    pub quorum_max_memory_length: u64,
    /// How many bytes of them, likewise. Default: 0.
    pub quorum_max_memory_bytes: u64,
    /// The most messages that a listener holds at once, if it would take more; zero sets no limit. Default: 0.
    pub max_prefetch: u16,
    /// The longest first wait before a lost connection is made again, or a cancelled listener put back. Each wait is random
    /// below it, and it doubles, or grows by `reconnect_backoff`.
    /// Default: 100 ms, the least.
    pub reconnect_wait: Duration,
    /// The longest of these waits, at least 100 ms. Default: 10 s.
    pub reconnect_wait_max: Duration,
    /// By how much the longest wait grows with each try, instead of doubling. Default: none, it doubles.
    pub reconnect_backoff: Option<Duration>,
    /// The shortest of these waits. Default: 0 s.
    pub reconnect_delay: Duration,
    /// What is added to the shortest wait at most, each time at random. Default: 0 s.
    pub reconnect_splay: Duration,
    /// Whether the hosts are put into another order whenever all were tried. Default: no.
    pub shuffle_hosts: bool,
    /// The least time between two looks at whether the queues of listeners, and their bindings, are still there; the most is
    /// twice of it. What is missing is put back. A look is taken besides when a call times out or a publish finds its
    /// exchange missing. Zero: never. Default: 5 min.
    pub queue_checks: Duration,
    /// How we say who we are. Default: AMQPLAIN.
    pub login: Login,
    /// Whether connections are made inside of TLS. Default: no; a URL with the scheme `amqps` says yes.
    pub use_tls: bool,
    /// Whom we trust, and who we are, inside of TLS.
    pub tls: Tls,
    /// Whether shared queues and topic exchanges go with their last user. Default: no.
    pub auto_delete: bool,
    /// Whether the names of reply and fanout queues outlive their process, so that it finds them again when it is restarted:
    /// `reply_<hostname>:<processname>:<number>`. They are not deleted, and expire. A name that somebody else has is an error
    /// after two heartbeats. Default: no, they are random.
    pub stable_queue_names: bool,
    /// The machine in these names. Default: none, so what the system calls it.
    pub hostname: Option<String>,
    /// The process in these names. Default: none, so the name of the program.
    pub processname: Option<String>,
    /// Whether the servers of a topic read their fanouts from one stream, which every peer must do too; for that
    /// `transient_quorum_queues` must be set. Default: no, each has a queue of its own.
    pub stream_fanout: bool,
    /// How bodies are compressed that are not yet. Every peer reads it. Default: not at all.
    pub compression: Option<Compression>,
    /// Whether an object that exists in another form is an error instead of a warning. Default: no.
    pub strict: bool,
}

impl Default for AmqpConfig {
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
            strict: false,
        }
    }
}

impl AmqpConfig {
    /// Durable shared queues: what is confirmed outlives a restart of the broker. As `amqp_durable_queues`.
    #[must_use]
    pub fn durable() -> Self {
        Self::default().with_durable_queues(true)
    }

    /// Quorum queues wherever there are queues: what is confirmed outlives the loss of a node. As `rabbit_quorum_queue` and
    /// `rabbit_transient_quorum_queue`, which every peer must have too.
    #[must_use]
    pub fn quorum() -> Self {
        Self { quorum_queues: true, transient_quorum_queues: true, ..Self::default() }
    }

    /// Whether anything is declared that a broker may want durable: an exchange or a shared queue.
    pub(crate) fn declares_transient(&self) -> bool {
        !(self.durable_queues || self.quorum_queues) || !self.transient_quorum_queues
    }

    /// Whether a driver can work with these settings.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a window that lets nothing out, or too much, for a time in which nothing can be done or
    /// that the broker cannot be told, and for what lacks what it needs.
    pub(crate) fn check(&self) -> Result<()> {
        if self.stream_fanout && !self.transient_quorum_queues {
            return Err(unusable()
                .with("option", "rabbit_stream_fanout")
                .with("reason", "requires `rabbit_transient_quorum_queue`"));
        }
        if !(1..=WIDEST_WINDOW).contains(&self.publish_window) {
            let error = unusable().with("publish_window", self.publish_window);
            return Err(error.with("reason", format_args!("must be 1 to {WIDEST_WINDOW}")));
        }
        for (name, time) in [
            ("connect_timeout", self.connect_timeout),
            ("request_timeout", self.request_timeout),
            ("confirm_timeout", self.confirm_timeout),
        ] {
            if time.is_zero() {
                return Err(unusable().with(name, "0 s").with("reason", "must be longer than zero"));
            }
        }
        if self.heartbeat.subsec_nanos() != 0 || self.heartbeat > LONGEST_HEARTBEAT {
            let error = unusable().with("heartbeat", format_args!("{:?}", self.heartbeat));
            return Err(error.with("reason", format_args!("must be whole seconds, at most {LONGEST_HEARTBEAT:?}")));
        }
        Ok(())
    }

    /// `message` as it travels: compressed, unless it is already.
    pub(crate) fn compressed(&self, mut message: Message) -> Message {
        if let Some(compression) = self.compression
            && !message.headers.contains_key(HEADER)
        {
            message.body = compression.compress(&message.body);
            message = message.with_header(HEADER, compression.content_type());
        }
        message
    }

    /// How long the broker may take to notice that whoever had a name is gone.
    pub(crate) fn name_release_timeout(&self) -> Duration {
        2 * if self.heartbeat.is_zero() { BROKERS_HEARTBEAT } else { self.heartbeat }
    }

    /// How many messages a listener that wants `window` of them holds.
    pub(crate) fn prefetch(&self, window: NonZeroU16) -> u16 {
        NonZeroU16::new(self.max_prefetch).map_or(window, |most| window.min(most)).get()
    }

    /// Warns of settings that have no effect beside the others. A file that switches TLS off may keep what it needs for it.
    pub(crate) fn warn_of_idle(&self) {
        if !self.use_tls && self.tls != Tls::default() {
            warn!(
                "TLS files are configured but TLS is off; connections are in plain text: set `ssl = true` or use the scheme `amqps`"
            );
        }
    }

    /// Adds to the `error` of a login what it may mean. In TLS 1.3 a broker that does not take our certificate says so when
    /// the handshake is over, and what it says may be lost with the connection.
    pub(crate) fn explain_end(&self, error: Error) -> Error {
        let shown = self.use_tls && self.tls.cert_file.is_some();
        if shown && error.kind() == ErrorKind::Disconnected {
            return error
                .with("reason", "the connection ended right after the TLS handshake; the broker may have rejected the client certificate");
        }
        error
    }
}

fn unusable() -> Error {
    Error::new(ErrorKind::Config, "read options")
}

#[cfg(test)]
mod tests;
