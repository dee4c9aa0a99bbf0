//! Views of a broker's state, for tests and for printing.

use std::fmt;
use std::sync::Arc;

use oslo_messaging::driver::{ExchangeKind, Lifetime};
use tokio::time::Instant;

use crate::state::BrokerState;
use crate::state::exchange::Exchange;

/// A queue at the time of the call.
///
/// A snapshot: it does not change with the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueState {
    /// The name, which is also the routing key that reaches it through the default exchange.
    pub name: String,
    /// Whether it survives its consumers.
    pub lifetime: Lifetime,
    /// How many messages wait for a consumer, including expired ones behind one that has not expired.
    pub ready: usize,
    /// How many messages were delivered and are unsettled.
    pub unsettled: usize,
    /// How many consumers share its messages in turn.
    pub consumers: usize,
}

impl QueueState {
    /// Whether it is a shared queue without messages and without consumers.
    fn is_idle(&self) -> bool {
        self.lifetime == Lifetime::Shared && self.ready == 0 && self.unsettled == 0 && self.consumers == 0
    }
}

/// An exchange at the time of the call; the default exchange is never among them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExchangeState {
    /// The name by which it was declared, which is never empty.
    pub name: String,
    /// How it routes messages: by key, or to every queue.
    pub kind: ExchangeKind,
}

/// A binding that a subscription or a publish declared.
///
/// Ordered by exchange, then key, then queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct BindingState {
    /// The name of a declared exchange; bindings to the default exchange are implicit and not listed.
    pub exchange: String,
    /// The key that a message must have; it may contain the wildcards of a topic exchange.
    pub routing_key: String,
    /// The name of a queue that exists: deleting a queue removes its bindings.
    pub queue: String,
}

/// What still exists in a broker: messages, consumers and private queues.
///
/// `Display` prints the queues as a table, and the number of delayed messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftovers {
    /// The queues with messages or consumers, and the private queues that wait to expire.
    pub queues: Vec<QueueState>,
    /// How many messages a fault delays; they are in no queue yet.
    pub delayed: usize,
}

impl Leftovers {
    /// Whether no queue is listed and no message is delayed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty() && self.delayed == 0
    }
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_table(f, &self.queues)?;
        if self.delayed > 0 {
            writeln!(f, "{} delayed", self.delayed)?;
        }
        Ok(())
    }
}

/// Writes `queues` as a table with a line each.
///
/// Columns are aligned to the longest queue name.
pub(crate) fn write_table(f: &mut fmt::Formatter<'_>, queues: &[QueueState]) -> fmt::Result {
    let width = queues.iter().map(|queue| queue.name.chars().count()).max().unwrap_or(0).max("queue".len());
    writeln!(f, "{:<width$}  {:>8}  {:>9}  {:>9}  lifetime", "queue", "ready", "unsettled", "consumers")?;
    for QueueState { name, lifetime, ready, unsettled, consumers } in queues {
        let lifetime = match lifetime {
            Lifetime::Shared => "shared",
            Lifetime::Private => "private",
        };
        writeln!(f, "{name:<width$}  {ready:>8}  {unsettled:>9}  {consumers:>9}  {lifetime}")?;
    }
    Ok(())
}

impl BrokerState {
    /// The queues by name, without the messages that expired at their heads.
    pub(crate) fn queue_states(&mut self) -> Vec<QueueState> {
        let mut states = Vec::with_capacity(self.queues.len());
        for queue in self.queues.values_mut() {
            self.counters.expired += queue.drop_expired(Instant::now);
            states.push(QueueState {
                name: queue.name.to_string(),
                lifetime: queue.lifetime,
                ready: queue.ready(),
                unsettled: queue.unsettled,
                consumers: queue.consumers,
            });
        }
        states.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        states
    }

    /// The declared exchanges, sorted by name, since their map has no order.
    pub(crate) fn exchange_states(&self) -> Vec<ExchangeState> {
        let state =
            |(name, exchange): (&Arc<str>, &Exchange)| ExchangeState { name: name.to_string(), kind: exchange.kind };
        let mut states: Vec<_> = self.exchanges.iter().map(state).collect();
        states.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        states
    }

    /// The declared bindings, sorted by exchange, then key, then queue.
    ///
    /// Exchanges without a binding do not appear.
    pub(crate) fn binding_states(&self) -> Vec<BindingState> {
        let mut states = Vec::new();
        for (exchange, bindings) in &self.exchanges {
            for (key, queue) in bindings.bindings() {
                let queue = self.queues.get(&queue).expect("a deleted queue is unbound");
                states.push(BindingState {
                    exchange: exchange.to_string(),
                    routing_key: key.to_owned(),
                    queue: queue.name.to_string(),
                });
            }
        }
        states.sort_unstable();
        states
    }

    /// Leaves out idle shared queues: they are durable, so every program leaves them behind.
    pub(crate) fn leftovers(&mut self) -> Leftovers {
        let mut queues = self.queue_states();
        queues.retain(|queue| !queue.is_idle());
        Leftovers { queues, delayed: self.delayed.len() }
    }
}
