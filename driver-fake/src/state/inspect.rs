//! What a broker shows of itself: for tests that count, and for people who look.

use std::fmt;
use std::sync::Arc;

use oslo_messaging::{ExchangeKind, Lifetime};
use tokio::time::Instant;

use crate::state::BrokerState;
use crate::state::exchange::Exchange;

/// A queue, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueState {
    /// Its name.
    pub name: String,
    /// Whether it outlives its reader.
    pub lifetime: Lifetime,
    /// How many messages wait in it.
    pub ready: usize,
    /// How many messages were handed to consumers and not settled.
    pub unsettled: usize,
    /// How many consumers read it.
    pub consumers: usize,
}

impl QueueState {
    /// Whether it holds nothing, nobody reads it, and it is one that stays.
    fn is_idle(&self) -> bool {
        self.lifetime == Lifetime::Shared && self.ready == 0 && self.unsettled == 0 && self.consumers == 0
    }
}

/// An exchange, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExchangeState {
    /// Its name.
    pub name: String,
    /// What it does with a message.
    pub kind: ExchangeKind,
}

/// A binding of a queue to an exchange.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct BindingState {
    /// The exchange.
    pub exchange: String,
    /// The routing key of the binding.
    pub routing_key: String,
    /// The queue.
    pub queue: String,
}

/// What a broker has done since it was made. Tests count these instead of measuring time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages that publishers handed in, whatever became of them.
    pub published: u64,
    /// Messages handed to consumers, each time anew.
    pub delivered: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Acknowledgements written: one for all that a poll acknowledges before handover, one for each a receiver settles.
    pub acknowledgement_writes: u64,
    /// Messages given back, by their receivers or because these ended.
    pub requeued: u64,
    /// Messages rejected by their receivers.
    pub rejected: u64,
    /// Mandatory messages returned to their publishers.
    pub returned: u64,
    /// Messages dropped after their time to live.
    pub expired: u64,
    /// Messages dropped because they exceeded the delivery limit of their queue.
    pub over_limit: u64,
}

/// What a broker still holds: messages, consumers and private queues.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftovers {
    /// The queues with messages or consumers, and those that only wait to expire.
    pub queues: Vec<QueueState>,
    /// How many messages a fault keeps on the way.
    pub delayed: usize,
}

impl Leftovers {
    /// Whether there is nothing left.
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

/// Writes `queues` as a table, one line each.
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
    /// The queues, by name; what has expired at their fronts is dropped first.
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

    /// The exchanges that were declared, by name.
    pub(crate) fn exchange_states(&self) -> Vec<ExchangeState> {
        let state =
            |(name, exchange): (&Arc<str>, &Exchange)| ExchangeState { name: name.to_string(), kind: exchange.kind };
        let mut states: Vec<_> = self.exchanges.iter().map(state).collect();
        states.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        states
    }

    /// The bindings that were declared, by exchange, key and queue.
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

    pub(crate) fn leftovers(&mut self) -> Leftovers {
        let mut queues = self.queue_states();
        queues.retain(|queue| !queue.is_idle());
        Leftovers { queues, delayed: self.delayed.len() }
    }
}
