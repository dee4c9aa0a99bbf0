//! The broker as its user holds it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use oslo_messaging::{Error, ErrorKind, Exchange, Lifetime, Result};

use crate::config::FakeConfig;
use crate::delivery_limit::DeliveryLimit;
use crate::fault::Faults;
use crate::fault::plan::Script;
use crate::state::BrokerState;
use crate::state::inspect::{BindingState, Counters, ExchangeState, Leftovers, QueueState, write_table};
use crate::transport::FakeTransport;

/// The brokers with a name that somebody still holds.
static NAMED: LazyLock<Mutex<HashMap<String, Weak<Shared>>>> = LazyLock::new(Mutex::default);

/// An in-memory broker. Cloning it gives another handle to the same one; two that are made apart share nothing.
///
/// It keeps what it was told while any handle, transport or listener is left. `Display` prints a table of its queues.
#[derive(Clone)]
pub struct FakeBroker(Arc<Shared>);

/// What every handle, transport, listener and message in hand holds.
pub(crate) struct Shared {
    state: Mutex<BrokerState>,
    pub(crate) max_message_size: usize,
    pub(crate) script: Script,
}

impl FakeBroker {
    /// An empty broker with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::with_config(FakeConfig::default())
    }

    /// An empty broker with the limits of `config`.
    #[must_use]
    pub fn with_config(config: FakeConfig) -> Self {
        Self(Arc::new(Shared {
            max_message_size: config.max_message_size,
            state: Mutex::new(BrokerState::new(config)),
            script: Script::default(),
        }))
    }

    /// The broker that everybody in this process shares under `name`, as `fake://name` means it; a new one, with the
    /// default limits, if nobody holds it any more.
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

    /// A new connection to this broker.
    #[must_use]
    pub fn transport(&self) -> FakeTransport {
        FakeTransport::open(Arc::clone(&self.0))
    }

    /// What goes wrong here, by script, by seed or at once.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults::new(Arc::clone(&self.0))
    }

    /// The queues, by name.
    #[must_use]
    pub fn queues(&self) -> Vec<QueueState> {
        self.0.with(BrokerState::queue_states)
    }

    /// The queue of that name, if it exists.
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<QueueState> {
        self.queues().into_iter().find(|queue| queue.name == name)
    }

    /// The exchanges that were declared, by name.
    #[must_use]
    pub fn exchanges(&self) -> Vec<ExchangeState> {
        self.0.with(|state| state.exchange_states())
    }

    /// The bindings that were declared, by exchange, key and queue.
    #[must_use]
    pub fn bindings(&self) -> Vec<BindingState> {
        self.0.with(|state| state.binding_states())
    }

    /// What this broker has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.0.with(|state| state.counters)
    }

    /// What is left: messages, consumers, private queues. Shared queues that are empty and unread stay by nature.
    #[must_use]
    pub fn leftovers(&self) -> Leftovers {
        self.0.with(BrokerState::leftovers)
    }

    /// Asserts that nothing is left over; for the end of a test.
    ///
    /// # Panics
    /// If something is, with a table of it.
    #[track_caller]
    pub fn assert_idle(&self) {
        let leftovers = self.leftovers();
        assert!(leftovers.is_empty(), "the broker is not idle:\n{leftovers}");
    }

    /// Declares an exchange as another program would, such as one of another kind than ours.
    ///
    /// # Errors
    /// `Topology` if it exists with another kind.
    pub fn declare_exchange(&self, exchange: &Exchange) -> Result<()> {
        self.0.with(|state| state.declare_exchange(exchange, "declare exchange"))
    }

    /// Declares a queue that another program has for itself: it takes messages, and our declarations fail with `Topology`.
    ///
    /// # Errors
    /// `Topology` if a queue of that name exists.
    pub fn declare_exclusive_queue(&self, name: &str) -> Result<()> {
        self.0.with(|state| {
            if state.queue_ids.contains_key(name) {
                return Err(Error::new(ErrorKind::Topology, "declare queue").with("queue", name));
            }
            let queue = state.create_queue(name, Lifetime::Shared);
            state.queues.entry(queue).and_modify(|queue| queue.exclusive = true);
            Ok(())
        })
    }

    /// Sets the delivery limit of every shared queue, as an operator's policy does; what the queues counted so far stands.
    pub fn limit_deliveries(&self, limit: Option<DeliveryLimit>) {
        self.0.with(|state| state.config.delivery_limit = limit);
    }

    /// Deletes a queue that nobody reads, with what is in it, as an operator would; whether there was one.
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

impl Shared {
    /// Runs one operation on the state, after all that has become due, and then wakes whom it concerns.
    pub(crate) fn with<R>(&self, operation: impl FnOnce(&mut BrokerState) -> R) -> R {
        // Drops come here too, possibly while a panic unwinds: a second one would abort the process.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.catch_up();
        let result = operation(&mut state);
        let wakes = std::mem::take(&mut state.wakes);
        drop(state);
        wakes.ring();
        result
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
