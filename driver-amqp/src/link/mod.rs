//! Two connections to one broker, and more when listeners need more channels; they are abandoned together.
//!
//! An alarm of RabbitMQ blocks the socket that publishes, and lapin writes nothing at all on a blocked connection.
//! On one connection it would stop acknowledgements and heartbeats too.

pub(crate) mod consuming;
pub(crate) mod current;
pub(crate) mod health;
pub(crate) mod inner;
pub(crate) mod resubscribe_barrier;
pub(crate) mod state_machine;
pub(crate) mod supervisor;
pub(crate) mod transient_queues;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oslo_messaging::{Deadline, Error, Result};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;
use tracing::warn;

use crate::brokers::{BrokerFacts, TransientQueues};
use crate::config::AmqpConfig;
use crate::connection::Connection;
use crate::connection::endpoint::Endpoint;
use crate::frames::ServerVersion;
use crate::link::consuming::{ConnectionEvents, ConsumingConnections};
use crate::link::state_machine::Generation;

/// Grace period after a reconnect, while the broker recovers its queues,
/// drops its old connections, and other consumers resubscribe.
const GRACE: Duration = Duration::from_secs(10);

/// One connection for publishing and at least one for everything else, so that a resource alarm blocks publishes alone.
/// When one is lost, the others are abandoned too:
/// a server that receives and cannot reply is worse than one that is seen to be disconnected.
#[derive(Debug)]
pub(crate) struct Link {
    /// Tells this link from those before and after it.
    pub(crate) generation: Generation,
    /// `host:port` of the broker, for errors and logs.
    pub(crate) host: String,
    /// For publishes only: the broker stops reading from it during a resource alarm.
    pub(crate) publishing: Connection,
    /// For consumers, acknowledgements and declarations.
    pub(crate) consuming: ConsumingConnections,
    /// Decides whether shared queues and exchanges are declared durable.
    pub(crate) transient: TransientQueues,
    /// Shared with the next link to this host.
    facts: Arc<BrokerFacts>,
    /// When both connections were open. The grace period counts from here.
    since: Instant,
    /// The events of the consuming connections, until the supervisor takes them.
    consuming_events: Mutex<Option<UnboundedReceiver<ConnectionEvents>>>,
    /// Set before the sockets are shut, so that no user takes a late success for one that counts.
    given_up: AtomicBool,
}

impl Link {
    /// How long [`open`](Self::open) may take with a broker that answers slowly:
    /// three handshakes, each within `connect_timeout`, and one request.
    pub(crate) fn patience(config: &AmqpConfig) -> Duration {
        config.connect_timeout.saturating_mul(3).saturating_add(config.request_timeout)
    }

    /// Opens the two connections that a link begins with. Asks the broker whether it allows transient queues,
    /// if the configuration declares any and the answer is not known yet.
    ///
    /// The three steps are sequential, so a broker that refuses the first connection costs one attempt.
    /// A broker that denies the probe closes its connection, and costs one more.
    ///
    /// Fails as [`Connection::open`] does, or with the error of the probe for transient queues.
    ///
    /// Cancellation leaves no connection behind.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        config: &AmqpConfig,
        generation: Generation,
        deadline: Deadline,
    ) -> Result<Self> {
        // The publishing connection first: it is never at risk from the probe below.
        let publishing = Connection::open(endpoint, config, deadline).await?;
        if let Some(version) = publishing.server_version().filter(|version| version.major < 4)
            && config.quorum_queues
            && config.quorum_delivery_limit < 0
        {
            warn!(
                host = endpoint.name(),
                %version,
                "rabbit_quorum_delivery_limit is negative; RabbitMQ before 4.0 reads it as 0 and drops a message of a quorum \
                 queue at its first redelivery"
            );
        }
        let mut consuming = Connection::open(endpoint, config, deadline).await?;
        let mut transient = TransientQueues::Allowed;
        if config.declares_transient() {
            transient = if let Some(known) = endpoint.facts.transient() {
                known
            } else {
                let answer = transient_queues::ask(&consuming, deadline).await?;
                endpoint.facts.learn(&endpoint.name(), answer);
                if answer == TransientQueues::Denied {
                    // A broker that denies transient queues closes the connection that declares
                    // one.
                    consuming = Connection::open(endpoint, config, deadline).await?;
                }
                answer
            };
        }
        let (consuming, events) = ConsumingConnections::new(consuming);
        Ok(Self {
            generation,
            host: endpoint.name(),
            publishing,
            consuming,
            transient,
            facts: Arc::clone(&endpoint.facts),
            since: Instant::now(),
            consuming_events: Mutex::new(Some(events)),
            given_up: AtomicBool::new(false),
        })
    }

    /// Records a failed declaration: if `error` says that transient queues are denied,
    /// the next link to this broker declares none.
    ///
    /// Any other error changes nothing. This link stays as it is: the broker has closed its consuming connection.
    pub(crate) fn refused(&self, error: &Error) {
        if transient_queues::is_denial(error) {
            self.facts.learn(&self.host, TransientQueues::Denied);
        }
    }

    /// Whether it is younger than 10 s and follows a lost link.
    /// Always false for the first link, because nothing was lost before it.
    pub(crate) fn is_fresh(&self) -> bool {
        self.generation > 1 && self.since.elapsed() < GRACE
    }

    /// The events of each consuming connection, also of those that are opened later. `None` the second time.
    pub(crate) fn take_consuming_events(&self) -> Option<UnboundedReceiver<ConnectionEvents>> {
        self.consuming_events.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// As the broker sent it on the first consuming connection; `None` if it sent none.
    pub(crate) fn server_version(&self) -> Option<ServerVersion> {
        self.consuming.first().server_version()
    }

    /// According to lapin, which notes a loss a moment late.
    pub(crate) fn is_connected(&self) -> bool {
        self.publishing.is_connected() && self.consuming.are_connected()
    }

    /// Whether it was abandoned. lapin may report either connection as open a moment longer.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    /// Shuts every socket without an AMQP close: every pending operation fails. Final, and it may be called repeatedly.
    pub(crate) fn abandon(&self) {
        // The flag first, so that no user takes a success on a shut socket for one that counts.
        self.given_up.store(true, Ordering::Release);
        self.publishing.abandon();
        self.consuming.abandon();
    }

    /// From now on keeps the channels of every connection, because [`close`](Self::close) is next.
    pub(crate) fn keep_channels(&self) {
        self.publishing.keep_channels();
        self.consuming.keep_channels();
    }

    /// Closes every connection with an AMQP close, and then their sockets.
    ///
    /// All at the same time, so a silent broker costs one timeout.
    ///
    /// After a cancellation the sockets stay open until the link is dropped.
    ///
    /// Fails with `Timeout` if the broker did not answer in time; every socket is shut anyway.
    pub(crate) async fn close(&self, deadline: Deadline) -> Result<()> {
        let (publishing, consuming) = tokio::join!(self.publishing.close(deadline), self.consuming.close(deadline));
        publishing.and(consuming)
    }
}
