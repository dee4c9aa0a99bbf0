//! [`FakeBroker`]: the handle by which a test connects to a broker, inspects it and injects faults.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use oslo_messaging::driver::{Exchange, Lifetime};
use oslo_messaging::{Error, ErrorKind, Executed, Result};

use crate::config::FakeConfig;
use crate::counters::Counters;
use crate::delivery_limit::DeliveryLimit;
use crate::faults::Faults;
use crate::shared::Shared;
use crate::state::BrokerState;
use crate::state::inspect::{BindingState, ExchangeState, Leftovers, QueueState, write_table};
use crate::transport::FakeTransport;

/// The named brokers that still have a handle, transport or listener.
///
/// Weak, so that a broker ends with its last user and a later test starts with an empty one.
static NAMED: LazyLock<Mutex<HashMap<String, Weak<Shared>>>> = LazyLock::new(Mutex::default);

/// An in-memory broker. A clone is another handle to the same broker; two calls of [`new`](Self::new) share nothing.
///
/// Queues, exchanges and messages exist until the last handle, transport and listener is
/// dropped. `Display` prints a table of the queues.
#[derive(Clone)]
pub struct FakeBroker(Arc<Shared>);

impl FakeBroker {
    /// An empty broker with the default limits. It lives as long as a clone, a transport or a listener of it.
    #[must_use]
    pub fn new() -> Self {
        Self::with_config(FakeConfig::default())
    }

    /// An empty broker with the limits of `config`, which stay as they are; only the delivery limit can change later.
    #[must_use]
    pub fn with_config(config: FakeConfig) -> Self {
        Self(Arc::new(Shared::new(config)))
    }

    /// The broker that this process shares under `name`; `fake://name` refers to the same one. Creates it with the
    /// default limits if no handle, transport or listener of that name is left.
    ///
    /// ```
    /// use oslo_messaging_fake::FakeBroker;
    ///
    /// let broker = FakeBroker::named("orders");
    /// let transport = FakeBroker::named("orders").transport(); // a connection to the same broker
    /// # drop((broker, transport));
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Self {
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = named.get(name).and_then(Weak::upgrade) {
            return Self(shared);
        }
        named.retain(|_, broker| broker.strong_count() > 0);
        let broker = Self::new();
        named.insert(name.to_owned(), Arc::downgrade(&broker.0));
        broker
    }

    /// Opens a connection. Each transport is one connection, as in RabbitMQ.
    ///
    /// The transport is `Ready` at once, or `Blocked` while an alarm is raised. Dropping it closes it.
    #[must_use]
    pub fn transport(&self) -> FakeTransport {
        FakeTransport::open(Arc::clone(&self.0))
    }

    /// Injects faults into this broker: by rule, by seed or at once.
    ///
    /// The returned handle is a clone: faults stay in effect after it is dropped.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults::new(Arc::clone(&self.0))
    }

    /// The queues that exist now, sorted by name. Drops the expired messages at their heads first.
    ///
    /// `ready` counts messages without a consumer, `unsettled` delivered ones; a message is never in both.
    #[must_use]
    pub fn queues(&self) -> Vec<QueueState> {
        self.0.with(BrokerState::queue_states)
    }

    /// The queue `name`, without the expired messages at its head. `None` if it
    /// was never declared, was deleted or has expired.
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<QueueState> {
        self.queues().into_iter().find(|queue| queue.name == name)
    }

    /// The declared exchanges, sorted by name; the default exchange is not among them.
    #[must_use]
    pub fn exchanges(&self) -> Vec<ExchangeState> {
        self.0.with(|state| state.exchange_states())
    }

    /// The declared bindings, sorted by exchange, routing key and queue.
    #[must_use]
    pub fn bindings(&self) -> Vec<BindingState> {
        self.0.with(|state| state.binding_states())
    }

    /// Counts since the broker was created.
    ///
    /// Counters only grow. A test compares two snapshots.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.0.with(|state| state.counters)
    }

    /// Messages, consumers and private queues that still exist. Empty shared queues
    /// without a consumer do not count: they are durable.
    ///
    /// Includes private queues of dropped listeners until they expire, and messages that a fault still delays.
    #[must_use]
    pub fn leftovers(&self) -> Leftovers {
        self.0.with(BrokerState::leftovers)
    }

    /// Asserts that [`leftovers`](Self::leftovers) is empty; for the end of a test.
    ///
    /// # Panics
    /// If it is not; the message is a table of the leftovers.
    ///
    /// ```
    /// use oslo_messaging_fake::FakeBroker;
    ///
    /// let broker = FakeBroker::new();
    /// // The program under test runs, and closes its servers, clients and buses.
    /// broker.assert_idle();
    /// ```
    #[track_caller]
    pub fn assert_idle(&self) {
        let leftovers = self.leftovers();
        assert!(leftovers.is_empty(), "the broker is not idle:\n{leftovers}");
    }

    /// Declares an exchange as another program would, for example with a kind that this library does not expect.
    ///
    /// # Errors
    /// `Topology` if it exists with another kind.
    ///
    /// Declaring an existing exchange of the same kind has no effect.
    pub fn declare_exchange(&self, exchange: &Exchange) -> Result<()> {
        self.0.with(|state| state.declare_exchange(exchange, "declare exchange"))
    }

    /// Declares a queue exclusive to another program: it receives messages, and every
    /// later declaration of it fails with `Topology`.
    ///
    /// # Errors
    /// `Topology` if a queue of that name exists.
    ///
    /// ```
    /// use oslo_messaging_fake::FakeBroker;
    ///
    /// let broker = FakeBroker::new();
    /// broker.declare_exclusive_queue("orders")?;
    /// assert!(broker.declare_exclusive_queue("orders").is_err());
    /// # Ok::<(), oslo_messaging::Error>(())
    /// ```
    pub fn declare_exclusive_queue(&self, name: &str) -> Result<()> {
        self.0.with(|state| {
            if state.queue_ids.contains_key(name) {
                return Err(Error::new(ErrorKind::Topology, "declare queue")
                    .with_executed(Executed::No)
                    .with_context("queue", name));
            }
            let queue = state.create_queue(name, Lifetime::Shared);
            state.queues.entry(queue).and_modify(|queue| queue.exclusive = true);
            Ok(())
        })
    }

    /// Sets the delivery limit of every shared queue, as an operator's policy does. Failures counted so far are kept.
    ///
    /// `None` removes the limit; messages then keep their counts, without effect. Queues of dead letters and private
    /// queues are covered as [`DeliveryLimit`] says.
    pub fn limit_deliveries(&self, limit: Option<DeliveryLimit>) {
        self.0.with(|state| state.config.delivery_limit = limit);
    }

    /// Deletes a queue without consumers and the messages in it, as an operator would. Returns `false` if
    /// there is no such queue, or it has a consumer.
    #[must_use]
    pub fn delete_queue(&self, name: &str) -> bool {
        self.0.with(|state| {
            let found = state.queue_ids.get(name).copied();
            let unused = found.filter(|id| state.queues.get(id).is_some_and(|queue| queue.consumers == 0));
            unused.inspect(|id| state.delete_queue(*id)).is_some()
        })
    }
}

impl Default for FakeBroker {
    /// The same as [`new`](Self::new): an empty broker of its own.
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FakeBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeBroker").finish_non_exhaustive()
    }
}

impl fmt::Display for FakeBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_table(f, &self.queues())
    }
}
