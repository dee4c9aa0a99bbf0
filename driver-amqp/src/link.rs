//! Two connections to one broker, made together and given up together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oslo_messaging::{Deadline, Result};
use tokio::time::Instant;
use tracing::warn;

use crate::config::AmqpConfig;
use crate::connection::{Connection, Endpoint};
use crate::machine::Generation;
use crate::probe::{self, Transient};

/// How long a broker that was lost may take, once it is back, to find its queues and to forget its old connections; and
/// those who read from it to come back too.
const SETTLING: Duration = Duration::from_secs(10);

/// One connection for publishing and one for the rest, so that an alarm of the broker stops the one and not the other.
/// When one is lost, the other is given up too: a server that hears and cannot answer is worse than one that is seen to be
/// gone.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) generation: Generation,
    pub(crate) host: String,
    pub(crate) publishing: Connection,
    pub(crate) consuming: Connection,
    pub(crate) transient: Transient,
    since: Instant,
    given_up: AtomicBool,
}

impl Link {
    /// How long [`open`](Self::open) may take with a broker that answers, however slowly: three handshakes, each within its
    /// `connect_timeout`, and a question.
    pub(crate) fn patience(config: &AmqpConfig) -> Duration {
        config.connect_timeout.saturating_mul(3).saturating_add(config.request_timeout)
    }

    /// Makes both connections, and asks the broker what it thinks of transient queues if that matters.
    ///
    /// # Errors
    /// As [`Connection::open`].
    ///
    /// # Cancellation
    /// Leaves no connection behind.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        config: &AmqpConfig,
        generation: Generation,
        deadline: Deadline,
    ) -> Result<Self> {
        let publishing = Connection::open(endpoint, config, deadline).await?;
        let mut consuming = Connection::open(endpoint, config, deadline).await?;
        let mut transient = Transient::Allowed;
        if config.declares_transient() {
            // On each link: what a broker takes may change while it is away.
            transient = probe::ask(&consuming, deadline).await?;
        }
        if transient == Transient::Denied {
            warn!(
                host = endpoint.name(),
                "the broker denies transient queues: exchanges and shared queues are declared durable; \
                 say so with amqp_durable_queues and rabbit_transient_quorum_queue, which peers in Python must have there"
            );
            // The answer has cost the connection.
            consuming = Connection::open(endpoint, config, deadline).await?;
        }
        let (since, given_up) = (Instant::now(), AtomicBool::new(false));
        Ok(Self { generation, host: endpoint.name(), publishing, consuming, transient, since, given_up })
    }

    /// Whether it follows a lost one, and is new.
    pub(crate) fn is_settling(&self) -> bool {
        self.generation > 1 && self.since.elapsed() < SETTLING
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.publishing.is_connected() && self.consuming.is_connected()
    }

    /// Whether nothing that is done on it counts any more. Each connection may be slower to notice.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    /// Shuts both sockets down without a goodbye: everything that waits for the broker ends.
    pub(crate) fn abandon(&self) {
        self.given_up.store(true, Ordering::Release);
        self.publishing.abandon();
        self.consuming.abandon();
    }

    /// Keeps the channels of both from now on, since [`close`](Self::close) is next.
    pub(crate) fn keep_channels(&self) {
        self.publishing.keep_channels();
        self.consuming.keep_channels();
    }

    /// Says goodbye on both.
    ///
    /// # Errors
    /// `Timeout` if the broker did not answer in time; both sockets are shut all the same.
    pub(crate) async fn close(&self, deadline: Deadline) -> Result<()> {
        let (publishing, consuming) = tokio::join!(self.publishing.close(deadline), self.consuming.close(deadline));
        publishing.and(consuming)
    }
}
