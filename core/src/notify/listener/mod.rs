//! The reader's side of notifications: from the subscription to the handlers and the dead-letter queue.
//!
//! The builder checks the settings and subscribes; the task is [`intake`]. The way of an event: the
//! [`DecodingListener`] decodes it, [`reader`] recognises repeated deliveries and translates the event, [`runner`]
//! passes it to the endpoints and holds it between two attempts ([`unhandled`] says what follows an attempt), and
//! [`mover`] moves it to the dead-letter queue.

mod given_up;
mod intake;
mod invoke;
mod mover;
mod reader;
mod requeue_backoff;
mod runner;
mod shutdown;
mod unhandled;
mod work_item;

use std::collections::BTreeMap;
use std::fmt;
use std::num::{NonZeroU16, NonZeroUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tracing::warn;

use self::given_up::GivenUp;
use self::intake::{Batch, Intake};
use self::mover::{DeadLetterQueues, Mover};
use self::reader::EventReader;
use self::requeue_backoff::RequeueBackoff;
use self::runner::Runner;
use self::shutdown::ShutdownSignal;
use super::dead_letter::queue::{DeadLetterQueue, queue_of};
use super::dead_letter::writer::DeadLetterWriter;
use super::endpoint::{HandlerTable, NotificationEndpoint};
use super::{FailurePolicy, GiveUp, Priority};
use crate::decoding::{Decoding, DecodingListener};
use crate::delivery::Deliveries;
use crate::driver::{Address, Capability, Lifetime, Settle, Source, Subscription};
use crate::lifecycle::{TaskControl, TaskHandle};
use crate::wire::Notification;
use crate::{Bus, Deadline, Error, ErrorKind, Executed, Result, Serializer, Target};

/// The longest name that a queue can have, in bytes (AMQP 0-9-1, a short string).
const LONGEST_NAME: usize = 255;

/// Passes the notifications of its targets to the handlers of its endpoints.
///
/// Dropping it without [`shutdown`](Self::shutdown) aborts its handlers and says so in the log;
/// what is unsettled goes back to the broker.
#[derive(Debug)]
pub struct NotificationListener(TaskHandle);

/// The settings of a listener. Clone it to start the same listener again.
#[derive(Clone)]
#[must_use]
pub struct NotificationListenerBuilder {
    bus: Bus,
    targets: Vec<Target>,
    endpoints: Vec<HandlerTable>,
    read_from: ReadFrom,
    concurrency: Option<usize>,
    batch: Option<Batch>,
    policy: FailurePolicy,
    serializer: Option<Arc<dyn Serializer>>,
}

/// Which copy of the events is read, and whether other listeners read it too.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ReadFrom {
    /// The queues that all listeners without a pool share, one for each topic and priority.
    SharedQueues,
    Pool(String),
    /// A private queue that is deleted with the listener.
    Tap,
}

impl NotificationListener {
    /// A listener without targets and endpoints; it needs one of each.
    pub fn builder(bus: &Bus) -> NotificationListenerBuilder {
        NotificationListenerBuilder {
            bus: bus.clone(),
            targets: Vec::new(),
            endpoints: Vec::new(),
            read_from: ReadFrom::SharedQueues,
            concurrency: None,
            batch: None,
            policy: FailurePolicy::default(),
            serializer: None,
        }
    }

    /// Stops taking events. Events that wait for another attempt, and those that no handler was started for, are
    /// requeued at once. Running handlers continue.
    ///
    /// Idempotent; callers at the same time share one outcome,
    /// and the first deadline is the one that counts for the broker.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] if `deadline` passes first; the listener goes on stopping.
    pub async fn stop(&self, deadline: Deadline) -> Result<()> {
        self.0.stop(deadline).await
    }

    /// Stops the listener gracefully: takes no more events, waits until every handler has ended and its events are
    /// settled, and closes its queues. What still runs at `deadline` is aborted. Returns why the listener ended;
    /// calling it again returns the same.
    ///
    /// # Errors
    /// What ended the listener, if it was not asked to stop; [`ErrorKind::Timeout`] if `deadline` passes first, and
    /// then every handler that still runs is aborted and its events go back to the broker.
    ///
    /// # Cancellation
    /// The listener goes on stopping and aborts nothing; call it again to wait for the end.
    pub async fn shutdown(&self, deadline: Deadline) -> Result<()> {
        self.0.shutdown(deadline).await
    }

    /// Waits until the listener has ended, by itself or because it was stopped, and returns why. Does not stop it.
    ///
    /// A listener that has lost its queues ends as soon as its running handlers have. Events that waited for another
    /// attempt are dropped unsettled; the broker delivers them again to the next listener of the queues.
    ///
    /// # Errors
    /// What ended the listener, if it was not asked to stop;
    /// [`ErrorKind::Closed`] if [`shutdown`](Self::shutdown) aborted it.
    ///
    /// # Cancellation
    /// Safe: it only watches.
    pub async fn wait(&self) -> Result<()> {
        self.0.wait().await
    }
}

impl NotificationListenerBuilder {
    /// Listens to the topic of `target` as well, in its exchange or in that of the bus.
    pub fn target(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// Adds an endpoint; each has every event, in the order in which they were added.
    pub fn endpoint<S: Send + Sync + 'static>(mut self, endpoint: NotificationEndpoint<S>) -> Self {
        self.endpoints.push(endpoint.into_table());
        self
    }

    /// Reads the copy of the pool called `name`, which its members share.
    /// Default: the copy that all listeners without a pool share.
    ///
    /// A pool has its own copy of every event, from the moment its first member starts. Its queue is named after the
    /// pool alone, so use a pool name for one purpose within a virtual host. Publishers still fill the queue without a
    /// pool: some listener has to read it, or an operator's policy has to limit it.
    pub fn pool(mut self, name: impl Into<String>) -> Self {
        self.read_from = ReadFrom::Pool(name.into());
        self
    }

    /// Reads a private copy of the events, from now on until the listener ends, so that a monitoring tool takes no
    /// event from other listeners. Events that it gives up are dropped: there is no dead-letter queue.
    pub fn tap(mut self) -> Self {
        self.read_from = ReadFrom::Tap;
        self
    }

    /// How many handlers run at once, from 1 to 32,767. Default: [what the bus says](crate::BusBuilder::concurrency),
    /// or 50; with [`batch`](Self::batch) 1.
    ///
    /// The broker hands over twice as many events (the window), or a batch more than run at once; as many as may run
    /// can wait beside them for their next attempt. Handlers are started in the order in which events came; but those
    /// of one batch run one after the other, so that a batch may overtake what waits in the one before it.
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.concurrency = Some(handlers);
        self
    }

    /// Collects events into batches: up to `size` of them, until `window` after the first one arrived.
    ///
    /// A handler of [`on_batch`](NotificationEndpoint::on_batch) gets those of its priority and pattern in one call.
    pub fn batch(mut self, size: NonZeroUsize, window: Duration) -> Self {
        self.batch = Some(Batch { size, collect_for: window });
        self
    }

    /// What happens to an event whose handler fails.
    /// Default: 5 attempts over a minute and a half, then the dead-letter queue.
    pub fn on_failure(mut self, policy: FailurePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Translates every context and payload before a handler sees it; what it refuses becomes a dead letter.
    /// Default: none, so both stay as their publisher wrote them.
    pub fn serializer(mut self, serializer: impl Serializer) -> Self {
        self.serializer = Some(Arc::new(serializer));
        self
    }

    /// Starts the listener; returns when its queues are bound, so that what is published afterwards is not missed.
    ///
    /// It listens to each of its targets at each priority that some endpoint handles. It declares the dead-letter
    /// queues too; where that fails it starts all the same, with a warning,
    /// and the health of the bus names them until they are there.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidTarget`] without a target or if one has no topic, [`ErrorKind::Config`] without a handler
    /// or for an invalid setting, [`ErrorKind::TooLarge`] for a queue whose dead-letter queue could not be named,
    /// [`ErrorKind::Unsupported`] if the driver has no pools, and what
    /// [`Transport::subscribe`](crate::driver::Transport::subscribe) says.
    pub async fn start(self, deadline: Deadline) -> Result<NotificationListener> {
        self.check()?;
        let addresses = self.addresses()?;
        let window = self.window()?;
        let name = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let subscription = self.subscription(addresses, window)?;
        let listener = self.bus.0.subscribe(&subscription, deadline).await?;
        let Decoding { limit, received, .. } = self.bus.0.decoding.clone();
        let listener = DecodingListener::new(listener, Settle::ByReceiver, limit, received, Notification::of_body);
        let dead_letters = self.dead_letters(&subscription, deadline).await;
        let given_up = Arc::<GivenUp>::default();
        let reader = EventReader {
            deliveries: Deliveries::new(Settle::ByReceiver),
            serializer: self.serializer.clone(),
            given_up: Arc::clone(&given_up),
        };
        let (batch, concurrency) = (self.batch, self.running_at_once());
        let running = TaskHandle::start("listener", name, move |control: TaskControl| {
            let (writer, queues) = dead_letters;
            let shutdown = ShutdownSignal::new(control.stop.clone());
            // A quarter for events that cannot be moved and half for those that wait:
            // a quarter is always left to new ones.
            let slots = Arc::new(Semaphore::new(usize::from(window.get()) / 4));
            let mover = Arc::new(Mover { writer, queues, given_up, slots, shutdown: shutdown.clone() });
            let runner = Runner {
                endpoints: self.endpoints,
                policy: self.policy,
                mover,
                requeues: Mutex::new(RequeueBackoff::default()),
                permits: Arc::new(Semaphore::new(concurrency)),
                room: Arc::new(Semaphore::new(usize::from(window.get()) / 2)),
                shutdown,
            };
            Intake::new(listener, reader, runner, batch).run(control)
        });
        Ok(NotificationListener(running))
    }

    /// What moves the events that are given up, and their queues, declared:
    /// one that cannot be is reported, and the listener starts all the same.
    async fn dead_letters(
        &self,
        subscription: &Subscription,
        deadline: Deadline,
    ) -> (Option<DeadLetterWriter>, DeadLetterQueues) {
        let health = &self.bus.0.health;
        let kept = self.read_from != ReadFrom::Tap && self.policy.give_up == GiveUp::DeadLetter;
        let writer = kept.then(|| DeadLetterWriter::new(Arc::clone(&self.bus.0.transport)));
        let names: Vec<_> = subscription.queues("").into_iter().map(|queue| queue.name).collect();
        let known = names.iter().map(|name| (name.clone(), DeadLetterQueue::new(name, health)));
        let known: BTreeMap<_, _> = known.collect();
        if let Some(writer) = &writer {
            let declare = async |(name, queue): (&String, &DeadLetterQueue)| {
                let declared = deadline.run("declare", writer.declare(name)).await;
                if let Err(error) = declared.and_then(|declared| declared) {
                    warn!(%error, queue = queue_of(name), "a dead-letter queue cannot be declared; its listener starts, and declares it again every minute");
                    queue.set_undeclared(&error);
                }
            };
            join_all(known.iter().map(declare)).await;
        }
        let other = DeadLetterQueue::new(&names.join(", "), health);
        (writer, DeadLetterQueues { known, other })
    }

    /// Checks what a builder method could not report: the waits, the patterns and the pool.
    fn check(&self) -> Result<()> {
        self.policy.check()?;
        self.endpoints.iter().try_for_each(HandlerTable::check)?;
        match &self.read_from {
            ReadFrom::Pool(name) if name.is_empty() => Err(config("a pool needs a name")),
            ReadFrom::Pool(_) if !self.bus.capabilities().has(Capability::Pools) => Err(Error::unsupported("pool")),
            _ => Ok(()),
        }
    }

    /// Every target at every priority that is handled.
    fn addresses(&self) -> Result<Vec<Address>> {
        let mut priorities: Vec<Priority> = self.endpoints.iter().flat_map(HandlerTable::priorities).collect();
        priorities.sort_unstable();
        priorities.dedup();
        if priorities.is_empty() {
            return Err(config("a listener needs an endpoint with a handler"));
        }
        if self.targets.is_empty() {
            return Err(
                Error::new(ErrorKind::InvalidTarget, "start").with_context("reason", "a listener needs a target")
            );
        }
        let mut addresses = Vec::new();
        for target in &self.targets {
            let topic = target.topic.clone().filter(|topic| !topic.is_empty()).ok_or_else(|| {
                let error = Error::new(ErrorKind::InvalidTarget, "start").with_context("target", target);
                error.with_context("reason", "a listener's target needs a topic")
            })?;
            let exchange = target.exchange.clone().unwrap_or_else(|| self.bus.0.default_exchange.clone());
            addresses.extend(priorities.iter().map(|priority| Address::Notification {
                exchange: exchange.clone(),
                topic: topic.clone(),
                priority: priority.as_str().to_owned(),
            }));
        }
        Ok(addresses)
    }

    /// The concurrency: the builder's, the bus's, or 50; 1 with batches.
    fn running_at_once(&self) -> usize {
        let default = || if self.batch.is_some() { 1 } else { self.bus.0.concurrency.unwrap_or(50) };
        self.concurrency.unwrap_or_else(default).clamp(1, usize::from(u16::MAX / 2))
    }

    /// Twice what runs at once, and of batches one more.
    fn window(&self) -> Result<NonZeroU16> {
        let events = match self.batch {
            None => self.running_at_once() * 2,
            Some(batch) => batch.size.get().saturating_mul(self.running_at_once() + 1),
        };
        let window = u16::try_from(events).ok().and_then(NonZeroU16::new);
        window.ok_or_else(|| config("the batches that run at once, and one more, are over 65,535 events"))
    }

    /// What the driver is asked to listen to. Fails if a dead-letter queue could not be named.
    fn subscription(&self, addresses: Vec<Address>, window: NonZeroU16) -> Result<Subscription> {
        let (pool, lifetime) = match &self.read_from {
            ReadFrom::SharedQueues => (None, Lifetime::Shared),
            ReadFrom::Pool(name) => (Some(name.clone()), Lifetime::Shared),
            ReadFrom::Tap => (None, Lifetime::Private),
        };
        let subscription = Subscription::new(Source::Notifications { addresses, pool })
            .with_settle(Settle::ByReceiver)
            .with_window(window)
            .with_lifetime(lifetime);
        // Refused now, since an event that cannot be moved to its dead-letter queue would come back for ever.
        let too_long = subscription.queues("").into_iter().find(|queue| queue_of(&queue.name).len() > LONGEST_NAME);
        match too_long.filter(|_| self.policy.give_up == GiveUp::DeadLetter) {
            None => Ok(subscription),
            Some(queue) => Err(Error::new(ErrorKind::TooLarge, "start")
                .with_executed(Executed::No)
                .with_context("dead_letter_queue", queue_of(&queue.name))
                .with_context("reason", "the name of a queue has 255 bytes at most")),
        }
    }
}

/// `Config` with the operation `start`, for what `start` finds before it sends anything.
fn config(reason: &str) -> Error {
    Error::new(ErrorKind::Config, "start").with_context("reason", reason)
}

impl fmt::Debug for NotificationListenerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotificationListenerBuilder")
            .field("targets", &self.targets)
            .field("endpoints", &self.endpoints)
            .field("read_from", &self.read_from)
            .field("batch", &self.batch)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
