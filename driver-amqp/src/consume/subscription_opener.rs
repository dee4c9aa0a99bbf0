//! Declares the queues of a subscription and starts to consume them: at first, and after every loss.
//!
//! Order: every exchange, queue and binding first, and only then the consumers, on another channel.
//! A refused declaration closes its channel, and must not end consumers.

use std::sync::Arc;

use oslo_messaging::driver::{Address, Lifetime, QueuePlan, Source, Subscription};
use oslo_messaging::{Deadline, Error, Result};
use uuid::Uuid;

use crate::consume::consumer_plan::ConsumerPlan;
use crate::consume::queue_role::QueueRole;
use crate::consume::session::Session;
use crate::link::Link;
use crate::link::inner::Inner;
use crate::topology::Declarer;
use crate::topology::name_lease::NameLease;
use crate::topology::stream::{self, StreamPosition, is_stream};

/// A subscription, with the names of its private queues, which stay the same on every link.
#[derive(Debug)]
pub(crate) struct SubscriptionOpener {
    /// Shared with the listener and its recovery.
    pub(crate) inner: Arc<Inner>,
    /// What the core asked for. It never changes, so every link gets the same queues.
    pub(crate) subscription: Subscription,
    /// How far its stream was read, if it reads one.
    pub(crate) position: Arc<StreamPosition>,
    /// The part of private queue names that tells this subscription from others.
    unique: String,
    /// Holds the stable name on this machine, for as long as the opener lives.
    lease: Option<NameLease>,
}

impl SubscriptionOpener {
    /// Chooses the names of the private queues, and sends nothing to the broker.
    ///
    /// Fails with `Config` if stable names are configured and none is free.
    pub(crate) fn new(inner: Arc<Inner>, subscription: Subscription) -> Result<Self> {
        let position = StreamPosition::new(&stream::named(subscription.queues(""), &inner.config), &inner.config);
        let position = Arc::new(position);
        let mut opener = Self { inner, subscription, position, unique: String::new(), lease: None };
        opener.rename()?;
        Ok(opener)
    }

    /// The queues under their present names, in a fixed order: an index means the same queue in every session.
    pub(crate) fn queues(&self) -> Vec<QueuePlan> {
        stream::named(self.subscription.queues(&self.unique), &self.inner.config)
    }

    /// It changes with `rename`, so it is asked again after each recovery.
    pub(crate) fn address(&self) -> Address {
        self.subscription.address(&self.unique)
    }

    /// The name of this subscription in the health and in logs.
    pub(crate) fn part(&self) -> String {
        match &self.subscription.source {
            Source::Server { topic, .. } => format!("listener of topic {topic}"),
            Source::Inbox => format!("reply inbox {}", self.address().routing_key()),
            Source::Notifications { pool: Some(pool), .. } => format!("listener of pool {pool}"),
            Source::Notifications { addresses, pool: None } => {
                let keys: Vec<_> = addresses.iter().map(Address::routing_key).collect();
                format!("listener of {}", keys.join(", "))
            }
            Source::Queue { name } => format!("listener of queue {name}"),
        }
    }

    /// Gives the private queues new names, under which the next declaration makes them.
    ///
    /// Fails with `Config` if stable names are configured and no other is free.
    pub(crate) fn rename(&mut self) -> Result<()> {
        let config = &self.inner.config;
        let lease = if config.stable_queue_names { NameLease::take(config, &self.subscription)? } else { None };
        self.unique = lease.as_ref().map_or_else(random, |lease| lease.unique.clone());
        // The old lease is dropped only now; otherwise the same name would be chosen again.
        self.lease = lease;
        Ok(())
    }

    /// The role of the queue that `error` names in its context.
    /// Without a queue in the context, the error counts as one of a shared queue, unless this is a reply inbox.
    pub(crate) fn blames(&self, error: &Error) -> QueueRole {
        let named = |name: &str| error.context().any(|(key, value)| key == "queue" && value == name);
        // A new name helps only a queue of this listener alone, and a stream is shared.
        let own = |queue: &QueuePlan| queue.lifetime == Lifetime::Private && !is_stream(queue, &self.inner.config);
        let private = self.queues().iter().any(|queue| own(queue) && named(&queue.name));
        match self.subscription.source {
            Source::Inbox => QueueRole::Inbox,
            _ if private => QueueRole::Private,
            _ => QueueRole::Shared,
        }
    }

    /// Declares and binds every queue, and then consumes all of them, on a new channel.
    ///
    /// Fails with the broker's error, which names the queue or exchange; `Timeout` at the deadline.
    ///
    /// Cancellation leaves no consumer behind. Declared queues stay.
    pub(crate) async fn open(&self, link: &Arc<Link>, deadline: Deadline) -> Result<Session> {
        let config = &self.inner.config;
        let reading = |queue| ConsumerPlan::of(queue, config, &self.position);
        let queues: Vec<_> = self.queues().into_iter().map(reading).collect();
        let opening = async {
            let mut declarer = Declarer::new(link, &self.inner, deadline);
            for queue in &queues {
                self.make(&mut declarer, &queue.plan).await?;
            }
            // Frees the channel of the declarations before the next one opens: there may be a limit.
            drop(declarer);
            let window = config.prefetch(self.subscription.window);
            Session::open(link, &self.inner, window, &queues, deadline).await
        };
        let session = link.consuming.first().run_until(deadline, "subscribe", opening).await??;
        // Only now: a failed attempt must not set the time to start from.
        self.position.began();
        Ok(session)
    }

    /// Declares and binds the queue of `index` again; returns how to consume it.
    ///
    /// Fails with the broker's error, which names the queue or exchange; `Timeout` at the deadline.
    pub(crate) async fn declare(&self, link: &Link, index: usize, deadline: Deadline) -> Result<ConsumerPlan> {
        let config = &self.inner.config;
        let plan = self.queues().swap_remove(index);
        if is_stream(&plan, config) {
            self.position.doubt();
        }
        let queue = ConsumerPlan::of(plan, config, &self.position);
        let mut declarer = Declarer::new(link, &self.inner, deadline);
        let making = self.make(&mut declarer, &queue.plan);
        link.consuming.first().run_until(deadline, "subscribe", making).await??;
        Ok(queue)
    }

    /// Declares and binds what is missing of the queue of `index`; returns how many consumers it has.
    /// `None` for a stream, whose count means nothing.
    ///
    /// Fails with the broker's error, which names the queue or exchange; `Timeout` at the deadline.
    pub(crate) async fn renew(&self, link: &Link, index: usize, deadline: Deadline) -> Result<Option<u64>> {
        let config = &self.inner.config;
        let plan = self.queues().swap_remove(index);
        let renewing = async {
            let mut declarer = Declarer::new(link, &self.inner, deadline);
            // A passive declare first: of an existing queue only the bindings have to be repeated.
            let found = declarer.look(&plan.name).await?;
            match found {
                Some(_) => declarer.bindings(&plan).await?,
                None => self.make(&mut declarer, &plan).await?,
            }
            Ok::<_, Error>(found.map_or(0, |queue| queue.consumers))
        };
        let consumers = link.consuming.first().run_until(deadline, "subscribe", renewing).await??;
        Ok((!is_stream(&plan, config)).then_some(consumers))
    }

    /// Declares `queue`. A queue that is read by its name is declared exactly as its publishers do,
    /// because the first declaration decides its arguments.
    ///
    /// Fails with the broker's error, which names the queue or exchange.
    async fn make(&self, declarer: &mut Declarer<'_>, queue: &QueuePlan) -> Result<()> {
        match self.subscription.source {
            Source::Queue { .. } => declarer.durable_queue(&queue.name).await,
            _ => declarer.queue(queue).await,
        }
    }
}

/// 32 hexadecimal digits without dashes, as `uuid4().hex` in the reference (oslo.messaging 18.3.1, `amqpdriver.py`).
fn random() -> String {
    Uuid::new_v4().simple().to_string()
}
