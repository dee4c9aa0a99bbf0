//! What publishes need to be there, declared once for each link, and again when it is gone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oslo_messaging::{Address, Binding, Deadline, Exchange, ExchangeKind, Executed, Lifetime, QueuePlan, Result};
use tokio::sync::{Mutex as Turns, OwnedMutexGuard};
use tokio::task::unconstrained;

use crate::link::Link;
use crate::link::inner::Inner;
use crate::link::state_machine::Generation;
use crate::topology::{Declarer, undeclared};

/// What a publish needs to be there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Prerequisite {
    None,
    Exchange(Exchange),
    /// A queue that others read, bound to its exchange.
    Queue(QueuePlan),
    /// A durable queue of ours.
    DurableQueue(String),
}

/// Remembers what was declared: one entry for each destination that was ever published to.
#[derive(Debug)]
pub(crate) struct Destinations {
    inner: Arc<Inner>,
    known: Mutex<HashMap<Prerequisite, Arc<Declaration>>>,
}

/// One thing that is needed, and the callers who wait until it is there.
#[derive(Debug, Default)]
struct Declaration {
    /// The link on which it was declared last; none has the number zero.
    done: AtomicU64,
    /// How many have not been in front of their lane yet. While there is one, later callers queue up behind it.
    waiting: AtomicUsize,
    turn: Arc<Turns<()>>,
}

/// The right to go to the lane next, and the link on which what is needed was declared. Publishes that start while
/// something is being declared must not be overtaken by those that start when it is done.
#[derive(Debug)]
pub(crate) struct DeclarationTurn {
    pub(crate) declared: Generation,
    _place: Option<(OwnedMutexGuard<()>, QueuePosition)>,
}

#[derive(Debug)]
struct QueuePosition(Arc<Declaration>);

impl QueuePosition {
    fn behind(entry: &Arc<Declaration>) -> Self {
        entry.waiting.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(entry))
    }
}

impl Drop for QueuePosition {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Prerequisite {
    /// What a publish to `to` prerequisite.
    pub(crate) fn of(to: &Address, ensure_queue: bool) -> Self {
        let exchange = to.exchange();
        match to {
            Address::Queue { name } => Self::DurableQueue(name.clone()),
            Address::Notification { .. } if ensure_queue => {
                let name = to.routing_key();
                let bindings = vec![Binding { exchange, routing_key: name.clone() }];
                Self::Queue(QueuePlan { name, lifetime: Lifetime::Shared, bindings })
            }
            _ if exchange.kind == ExchangeKind::Default => Self::None,
            _ => Self::Exchange(exchange),
        }
    }

    /// Whether the publisher declares the queue, so that no message of its may go nowhere.
    pub(crate) fn has_queue(&self) -> bool {
        matches!(self, Self::Queue(_) | Self::DurableQueue(_))
    }

    fn names(&self, exchange: &str) -> bool {
        match self {
            Self::None | Self::DurableQueue(_) => false,
            Self::Exchange(own) => own.name == exchange,
            Self::Queue(plan) => plan.bindings.iter().any(|binding| binding.exchange.name == exchange),
        }
    }
}

impl Destinations {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, known: Mutex::default() }
    }

    /// Waits until what is needed was declared, by us or by another caller, and for our turn, if there is a queue. Waits
    /// for a connection too, if it takes one: who calls has a deadline.
    ///
    /// # Errors
    /// As [`Declarer`]'s; `Closed`.
    ///
    /// # Cancellation
    /// Safe: the next caller declares it.
    pub(crate) async fn turn(&self, prerequisite: &Prerequisite, deadline: Deadline) -> Result<DeclarationTurn> {
        if *prerequisite == Prerequisite::None {
            return Ok(DeclarationTurn { declared: 0, _place: None });
        }
        let entry = self.entry(prerequisite);
        let declared = entry.done.load(Ordering::Acquire);
        if self.inner.current.generation() == Some(declared) && entry.waiting.load(Ordering::Acquire) == 0 {
            return Ok(DeclarationTurn { declared, _place: None });
        }
        let place = QueuePosition::behind(&entry);
        // The order of first polls counts, and tokio's budget would break it after the 128th.
        let turn = unconstrained(Arc::clone(&entry.turn).lock_owned()).await;
        let declared = self.complete(&entry, prerequisite, deadline).await?;
        Ok(DeclarationTurn { declared, _place: Some((turn, place)) })
    }

    /// Declares what is needed out of turn, for a lane, which must not wait for those who wait for it; says on which link.
    ///
    /// # Errors
    /// As [`Declarer`]'s; `Closed`; `Timeout`.
    pub(crate) async fn ensure(&self, prerequisite: &Prerequisite, deadline: Deadline) -> Result<Generation> {
        let declared = deadline.run("declare", self.complete(&self.entry(prerequisite), prerequisite, deadline)).await;
        // No message travels with a declaration.
        declared.map_err(|error| error.with_executed(Executed::No))?
    }

    /// Forgets that `needs` was declared.
    pub(crate) fn forget(&self, prerequisite: &Prerequisite) {
        self.known().remove(prerequisite);
    }

    /// Forgets everything that goes with an exchange: itself, and the bindings of queues to it. Those of our listeners are
    /// looked for.
    pub(crate) fn forget_exchange(&self, exchange: &str) {
        self.known().retain(|prerequisite, _| !prerequisite.names(exchange));
        self.inner.queue_checks.suspect_exchange(exchange);
    }

    async fn complete(
        &self,
        entry: &Declaration,
        prerequisite: &Prerequisite,
        deadline: Deadline,
    ) -> Result<Generation> {
        loop {
            let link = self.inner.current.link("declare").await?;
            if entry.done.load(Ordering::Acquire) == link.generation {
                return Ok(link.generation);
            }
            match self.declare(&link, prerequisite, deadline).await {
                Ok(()) => {
                    entry.done.store(link.generation, Ordering::Release);
                    return Ok(link.generation);
                }
                Err(error) if self.inner.current.lost_with(&link, &error).await => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn entry(&self, prerequisite: &Prerequisite) -> Arc<Declaration> {
        let mut known = self.known();
        match known.get(prerequisite) {
            Some(entry) => Arc::clone(entry),
            None => Arc::clone(known.entry(prerequisite.clone()).or_default()),
        }
    }

    async fn declare(&self, link: &Link, prerequisite: &Prerequisite, deadline: Deadline) -> Result<()> {
        let mut declarer = Declarer::new(link, &self.inner, deadline);
        match prerequisite {
            Prerequisite::None => Ok(()),
            Prerequisite::Exchange(exchange) => {
                declarer.exchange(exchange).await.map_err(|error| undeclared(error, exchange))
            }
            Prerequisite::Queue(plan) => declarer.queue(plan).await,
            Prerequisite::DurableQueue(name) => declarer.durable_queue(name).await,
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Prerequisite, Arc<Declaration>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
