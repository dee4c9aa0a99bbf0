//! Declares what a subscription reads and starts to consume it: the first time, and after every loss.

use std::sync::Arc;

use oslo_messaging::{Address, Deadline, Error, Lifetime, QueuePlan, Result, Source, Subscription};
use uuid::Uuid;

use crate::consume::consumer_plan::ConsumerPlan;
use crate::consume::queue_role::QueueRole;
use crate::consume::session::Session;
use crate::link::Link;
use crate::link::inner::Inner;
use crate::topology::Declarer;
use crate::topology::name_lease::NameLease;
use crate::topology::stream::{self, StreamPosition, is_stream};

/// A subscription, and the name that its private queues have on every link.
#[derive(Debug)]
pub(crate) struct SubscriptionOpener {
    pub(crate) inner: Arc<Inner>,
    pub(crate) subscription: Subscription,
    /// How far its stream was read, if it reads one.
    pub(crate) position: Arc<StreamPosition>,
    unique: String,
    claim: Option<NameLease>,
}

impl SubscriptionOpener {
    /// # Errors
    /// `Config` if names are to be stable and there is none.
    pub(crate) fn new(inner: Arc<Inner>, subscription: Subscription) -> Result<Self> {
        let position = StreamPosition::new(&stream::named(subscription.queues(""), &inner.config), &inner.config);
        let position = Arc::new(position);
        let mut opener = Self { inner, subscription, position, unique: String::new(), claim: None };
        opener.rename()?;
        Ok(opener)
    }

    pub(crate) fn queues(&self) -> Vec<QueuePlan> {
        stream::named(self.subscription.queues(&self.unique), &self.inner.config)
    }

    pub(crate) fn address(&self) -> Address {
        self.subscription.address(&self.unique)
    }

    /// What this subscription is called in health and logs.
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
            // A source that this driver does not know yet.
            _ => "listener".to_owned(),
        }
    }

    /// Gives the private queues another name.
    ///
    /// # Errors
    /// `Config` if names are to be stable and there is no other.
    pub(crate) fn rename(&mut self) -> Result<()> {
        let config = &self.inner.config;
        let claim = if config.stable_queue_names { NameLease::take(config, &self.subscription)? } else { None };
        self.unique = claim.as_ref().map_or_else(random, |claim| claim.unique.clone());
        // The old one is given up only now, or it would be the new one.
        self.claim = claim;
        Ok(())
    }

    /// What kind of queue `error` is about, as far as it says.
    pub(crate) fn blames(&self, error: &Error) -> QueueRole {
        let named = |name: &str| error.context().any(|(key, value)| key == "queue" && value == name);
        // Another name helps a queue that is ours alone, and a stream is everybody's.
        let own = |queue: &QueuePlan| queue.lifetime == Lifetime::Private && !is_stream(queue, &self.inner.config);
        let private = self.queues().iter().any(|queue| own(queue) && named(&queue.name));
        match self.subscription.source {
            Source::Inbox => QueueRole::Inbox,
            _ if private => QueueRole::Private,
            _ => QueueRole::Shared,
        }
    }

    /// Declares and binds every queue, and then consumes them all, on a channel of its own.
    ///
    /// # Errors
    /// As [`Declarer`]'s; `Timeout`.
    ///
    /// # Cancellation
    /// Leaves no consumer behind.
    pub(crate) async fn open(&self, link: &Arc<Link>, deadline: Deadline) -> Result<Session> {
        let config = &self.inner.config;
        let reading = |queue| ConsumerPlan::of(queue, config, &self.position);
        let queues: Vec<_> = self.queues().into_iter().map(reading).collect();
        let opening = async {
            let mut declarer = Declarer::new(link, &self.inner, deadline);
            for queue in &queues {
                self.make(&mut declarer, &queue.plan).await?;
            }
            // Before the next is opened, where there may be only so many.
            drop(declarer);
            let window = config.prefetch(self.subscription.window);
            Session::open(link, &self.inner, window, &queues, deadline).await
        };
        let session = deadline.run("subscribe", opening).await??;
        self.position.began();
        Ok(session)
    }

    /// Declares the queue of `index` again; says how it is to be read.
    ///
    /// # Errors
    /// As [`Declarer`]'s; `Timeout`.
    pub(crate) async fn declare(&self, link: &Link, index: usize, deadline: Deadline) -> Result<ConsumerPlan> {
        let config = &self.inner.config;
        let plan = self.queues().swap_remove(index);
        if is_stream(&plan, config) {
            self.position.doubt();
        }
        let queue = ConsumerPlan::of(plan, config, &self.position);
        let mut declarer = Declarer::new(link, &self.inner, deadline);
        deadline.run("subscribe", self.make(&mut declarer, &queue.plan)).await??;
        Ok(queue)
    }

    /// Makes the queue of `index` and its bindings again, as far as they are missing; says how many consumers it has, unless
    /// it is a stream, whose count means nothing.
    ///
    /// # Errors
    /// As [`Declarer`]'s; `Timeout`.
    pub(crate) async fn renew(&self, link: &Link, index: usize, deadline: Deadline) -> Result<Option<u64>> {
        let config = &self.inner.config;
        let plan = self.queues().swap_remove(index);
        let renewing = async {
            let mut declarer = Declarer::new(link, &self.inner, deadline);
            let found = declarer.look(&plan.name).await?;
            match found {
                Some(_) => declarer.bindings(&plan).await?,
                None => self.make(&mut declarer, &plan).await?,
            }
            Ok(found.map_or(0, |queue| queue.consumers))
        };
        let consumers = deadline.run("subscribe", renewing).await??;
        Ok((!is_stream(&plan, config)).then_some(consumers))
    }

    /// Makes `queue`; one of ours just as its publishers do, since whoever comes first decides what it is.
    async fn make(&self, declarer: &mut Declarer<'_>, queue: &QueuePlan) -> Result<()> {
        match self.subscription.source {
            Source::Queue { .. } => declarer.durable_queue(&queue.name).await,
            _ => declarer.queue(queue).await,
        }
    }
}

fn random() -> String {
    Uuid::new_v4().simple().to_string()
}
