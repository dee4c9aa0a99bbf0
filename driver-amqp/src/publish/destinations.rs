//! Declares the exchanges and queues that publishes need: once per link, and again when one is missing.
//!
//! The reference declares an exchange once per publishing channel (oslo.messaging 18.3.1, `impl_rabbit.py`).
//! Here a declaration is remembered with the generation of its link, so a new link declares again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oslo_messaging::driver::{Address, Binding, Exchange, ExchangeKind, Lifetime, QueuePlan};
use oslo_messaging::{Deadline, Executed, Result};
use tokio::sync::{Mutex as Turns, OwnedMutexGuard};
use tokio::task::unconstrained;

use crate::link::Link;
use crate::link::inner::Inner;
use crate::link::state_machine::Generation;
use crate::topology::{Declarer, undeclared};

/// What must exist on the broker before a publish, and is declared if it does not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Prerequisite {
    /// The default exchange, to which each queue is bound by its name.
    None,
    /// The queues behind it belong to their consumers, which declare them.
    Exchange(Exchange),
    /// A queue of other consumers, bound to its exchange.
    ///
    /// The publisher of a notification declares it too, as the reference does,
    /// so that nothing is lost before a consumer exists.
    BoundQueue(QueuePlan),
    /// A durable queue that is addressed by its name. A dead-letter queue, for example. It may have no consumer.
    DurableQueue(String),
}

/// What was declared on which link. It has one entry per destination that was ever published to.
/// Entries stay over links; the generation in each says whether it still holds.
#[derive(Debug)]
pub(crate) struct Destinations {
    /// For the current link, on which everything is declared, and the checks of queues.
    inner: Arc<Inner>,
    /// Held for a lookup only, never across an await.
    known: Mutex<HashMap<Prerequisite, Arc<Declaration>>>,
}

/// One prerequisite, and the callers that wait until it is declared.
/// One of them declares it; the others find it done when their turn comes.
#[derive(Debug, Default)]
struct Declaration {
    /// The generation of the link on which it was declared last; 0 if never.
    done: AtomicU64,
    /// How many callers have not reached their publisher yet.
    /// While there are any, later callers must wait behind them.
    waiting: AtomicUsize,
    /// Fair: tokio's mutex admits waiters in the order in which they came.
    turn: Arc<Turns<()>>,
}

/// Permission to pass a job to its publisher, and the link on which its prerequisite was declared.
/// A publish that starts during a declaration must not be overtaken by one
/// that starts after it, so callers pass one by one until none waits.
#[derive(Debug)]
pub(crate) struct DeclarationTurn {
    /// 0 without a prerequisite. If a later link sends the job, its publisher declares again.
    pub(crate) declared: Generation,
    /// `None` if the caller need not wait. Dropping it lets the next caller pass.
    _place: Option<(OwnedMutexGuard<()>, QueuePosition)>,
}

/// Counts one waiting caller until it is dropped, also by a cancellation.
#[derive(Debug)]
struct QueuePosition(Arc<Declaration>);

impl QueuePosition {
    /// Must be taken before the turn is awaited, so that later callers see the queue.
    fn behind(entry: &Arc<Declaration>) -> Self {
        entry.waiting.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(entry))
    }
}

impl Drop for QueuePosition {
    /// The next caller need not queue any more if this was the last one.
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Prerequisite {
    /// What a publish to `to` needs. `ensure_queue` decides only
    /// for notifications; a queue's own address always needs it.
    pub(crate) fn of(to: &Address, ensure_queue: bool) -> Self {
        let exchange = to.exchange();
        match to {
            Address::Queue { name } => Self::DurableQueue(name.clone()),
            Address::Notification { .. } if ensure_queue => {
                let name = to.routing_key();
                let bindings = vec![Binding::new(exchange, name.clone())];
                Self::BoundQueue(QueuePlan::new(name, Lifetime::Shared, bindings))
            }
            _ if exchange.kind == ExchangeKind::Default => Self::None,
            _ => Self::Exchange(exchange),
        }
    }

    /// Whether the publisher declares the queue itself, so that its message cannot be dropped for want of one.
    /// Such a publish is always mandatory: a return shows that the queue was deleted meanwhile.
    pub(crate) fn has_queue(&self) -> bool {
        matches!(self, Self::BoundQueue(_) | Self::DurableQueue(_))
    }

    /// Whether it must be declared again when this exchange is missing.
    fn names(&self, exchange: &str) -> bool {
        match self {
            Self::None | Self::DurableQueue(_) => false,
            Self::Exchange(own) => own.name == exchange,
            Self::BoundQueue(plan) => plan.bindings.iter().any(|binding| binding.exchange.name == exchange),
        }
    }
}

impl Destinations {
    /// Nothing counts as declared yet, so the first publish to each destination declares it.
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, known: Mutex::default() }
    }

    /// Waits until the prerequisite is declared, by this or another caller,
    /// and until every earlier caller has passed its job on.
    /// Also waits for a link; the caller limits the time by its deadline.
    ///
    /// Fails with the broker's error, which names the queue or exchange; `Closed`.
    ///
    /// Cancellation loses nothing: the next caller declares it.
    pub(crate) async fn turn(&self, prerequisite: &Prerequisite, deadline: Deadline) -> Result<DeclarationTurn> {
        if *prerequisite == Prerequisite::None {
            return Ok(DeclarationTurn { declared: 0, _place: None });
        }
        // The common case: declared on this link, and no earlier caller is still on its way.
        let entry = self.entry(prerequisite);
        let declared = entry.done.load(Ordering::Acquire);
        if self.inner.current.generation() == Some(declared) && entry.waiting.load(Ordering::Acquire) == 0 {
            return Ok(DeclarationTurn { declared, _place: None });
        }
        let place = QueuePosition::behind(&entry);
        // Callers queue in the order of their first polls. Tokio's cooperative budget would break it after
        // the 128th.
        let turn = unconstrained(Arc::clone(&entry.turn).lock_owned()).await;
        // Boxed: the future of each publish would have room for it, and few declare anything.
        let declared = Box::pin(self.complete(&entry, prerequisite, deadline)).await?;
        Ok(DeclarationTurn { declared, _place: Some((turn, place)) })
    }

    /// Declares the prerequisite for a publisher, without a turn:
    /// the callers that hold one may wait for this publisher. Returns the generation of the link.
    ///
    /// Fails with the broker's error; `Closed`; `Timeout`. Executed is `No` in each.
    pub(crate) async fn ensure(&self, prerequisite: &Prerequisite, deadline: Deadline) -> Result<Generation> {
        let declared = deadline.run("declare", self.complete(&self.entry(prerequisite), prerequisite, deadline)).await;
        // A declaration carries no message, so nothing was executed.
        declared.map_err(|error| error.with_executed(Executed::No))?
    }

    /// Makes the next publish declare `prerequisite` again, because what it needs was found missing.
    /// A declaration that is under way is not stopped.
    pub(crate) fn forget(&self, prerequisite: &Prerequisite) {
        // Callers that hold the old entry finish with it, and later ones get a new one.
        self.known().remove(prerequisite);
    }

    /// Makes the next publishes declare the exchange and the bindings to it again.
    /// Requests a check of the listeners that are bound to it.
    pub(crate) fn forget_exchange(&self, exchange: &str) {
        self.known().retain(|prerequisite, _| !prerequisite.names(exchange));
        self.inner.queue_checks.suspect_exchange(exchange);
    }

    /// Follows the link: if it is lost meanwhile, the declaration starts again on the next one.
    ///
    /// Fails with the broker's error, or with `Closed` if the transport closes.
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

    /// The key is cloned only for the first publish to a destination. Only a `forget` removes an entry.
    fn entry(&self, prerequisite: &Prerequisite) -> Arc<Declaration> {
        let mut known = self.known();
        match known.get(prerequisite) {
            Some(entry) => Arc::clone(entry),
            None => Arc::clone(known.entry(prerequisite.clone()).or_default()),
        }
    }

    /// Fails with the broker's error, with the queue or exchange in the context.
    async fn declare(&self, link: &Link, prerequisite: &Prerequisite, deadline: Deadline) -> Result<()> {
        let mut declarer = Declarer::new(link, &self.inner, deadline);
        match prerequisite {
            Prerequisite::None => Ok(()),
            Prerequisite::Exchange(exchange) => {
                declarer.exchange(exchange).await.map_err(|error| undeclared(error, exchange))
            }
            Prerequisite::BoundQueue(plan) => declarer.queue(plan).await,
            Prerequisite::DurableQueue(name) => declarer.durable_queue(name).await,
        }
    }

    /// A panic while it is held cannot leave it half changed, so poison is ignored.
    fn known(&self) -> MutexGuard<'_, HashMap<Prerequisite, Arc<Declaration>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
