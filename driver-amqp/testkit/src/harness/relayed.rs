//! A node behind a relay that loses every connection on request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use oslo_messaging::config::{Host, TransportUrl};
use oslo_messaging::driver::Transport;
use oslo_messaging::{Deadline, Result, State};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};

use crate::proxy::{Fault, Proxy};

/// How long transports may take to see that they were cut.
const NOTICE: Duration = Duration::from_secs(10);
/// How often that is looked at.
const GLANCE: Duration = Duration::from_millis(5);

/// Transports to one node, all through one relay, which the first of them starts.
#[derive(Debug)]
pub struct Relayed {
    port: u16,
    relay: OnceCell<Proxy>,
    transports: Mutex<Vec<Weak<AmqpTransport>>>,
}

impl Relayed {
    /// Transports to the node that listens at `port`.
    pub fn to(port: u16) -> Self {
        Self { port, relay: OnceCell::new(), transports: Mutex::default() }
    }

    /// Opens one, as `guest`.
    ///
    /// # Errors
    /// As [`AmqpTransport::connect`].
    pub async fn connect(&self, config: AmqpConfig, deadline: Deadline) -> Result<Arc<dyn Transport>> {
        let host = Host::new("127.0.0.1").with_port(self.relay().await.port());
        let url = TransportUrl::new("rabbit")?.with_host(host.with_username("guest").with_password("guest"));
        let transport = Arc::new(AmqpTransport::connect(&url, config, deadline).await?);
        self.transports().push(Arc::downgrade(&transport));
        Ok(transport)
    }

    /// Resets every connection, and returns once every transport that had one has noticed.
    ///
    /// # Errors
    /// A transport did not notice in time.
    pub async fn cut(&self) -> std::result::Result<(), String> {
        let relay = self.relay().await;
        self.lose(async { relay.strike(Fault::Reset) }).await
    }

    /// Runs `end`, which ends every connection, and returns once every transport that had one has noticed.
    ///
    /// # Errors
    /// A transport did not notice in time.
    pub async fn lose(&self, end: impl Future<Output = ()>) -> std::result::Result<(), String> {
        let counted = |transport: Weak<AmqpTransport>| {
            let connected = transport.upgrade().filter(|transport| is_connected(transport))?;
            Some((transport, connected.counters().losses))
        };
        // The references are weak, so that a transport can be dropped meanwhile.
        let before: Vec<_> = self.transports().iter().cloned().filter_map(counted).collect();
        end.await;
        let seen = async {
            while before.iter().any(|(transport, before)| is_unaware(transport, *before)) {
                sleep(GLANCE).await;
            }
        };
        timeout(NOTICE, seen).await.map_err(|_| format!("a loss was not seen within {NOTICE:?}"))
    }

    async fn relay(&self) -> &Proxy {
        self.relay.get_or_init(|| Proxy::to(self.port)).await
    }

    fn transports(&self) -> MutexGuard<'_, Vec<Weak<AmqpTransport>>> {
        self.transports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is a connection to lose: a transport without one counts no second loss.
fn is_connected(transport: &AmqpTransport) -> bool {
    matches!(transport.health().borrow().state, State::Ready | State::Blocked { .. })
}

/// Whether a transport is at work and has seen no loss since there were `before`.
fn is_unaware(transport: &Weak<AmqpTransport>, before: u64) -> bool {
    transport.upgrade().is_some_and(|transport| {
        transport.health().borrow().state != State::Closed && transport.counters().losses == before
    })
}
