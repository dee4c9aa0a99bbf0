//! Declares what a subscription reads and starts to consume it: the first time, and after every loss.

use std::sync::Arc;

use oslo_messaging::{Address, Deadline, Error, Lifetime, QueuePlan, Result, Source, Subscription};
use uuid::Uuid;

use crate::config::AmqpConfig;
use crate::counters::Counts;
use crate::fate::Queue;
use crate::gate::Gate;
use crate::link::Link;
use crate::place::Place;
use crate::revival::Resumed;
use crate::roll::Roll;
use crate::session::Session;
use crate::status::Status;
use crate::tasks::Tasks;
use crate::topology::Declarer;

/// What all listeners of a transport share.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) gate: Arc<Gate>,
    pub(crate) config: AmqpConfig,
    pub(crate) status: Arc<Status>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) roll: Arc<Roll>,
    pub(crate) tasks: Arc<Tasks>,
}

/// A subscription, and the name that its private queues have on every link.
#[derive(Debug)]
pub(crate) struct Opener {
    pub(crate) common: Common,
    pub(crate) subscription: Subscription,
    unique: String,
}

impl Opener {
    pub(crate) fn new(common: Common, subscription: Subscription) -> Self {
        Self { common, subscription, unique: unique() }
    }

    pub(crate) fn queues(&self) -> Vec<QueuePlan> {
        self.subscription.queues(&self.unique)
    }

    pub(crate) fn address(&self) -> Address {
        self.subscription.address(&self.unique)
    }

    /// Gives the private queues another name.
    pub(crate) fn rename(&mut self) {
        self.unique = unique();
    }

    /// What kind of queue `error` is about, as far as it says.
    pub(crate) fn blames(&self, error: &Error) -> Queue {
        let named = |name: &str| error.context().any(|(key, value)| key == "queue" && value == name);
        let private = self.queues().iter().any(|queue| queue.lifetime == Lifetime::Private && named(&queue.name));
        match self.subscription.source {
            Source::Inbox => Queue::Inbox,
            _ if private => Queue::Private,
            _ => Queue::Shared,
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
        let Common { config, status, counts, tasks, .. } = &self.common;
        let queues = self.queues();
        let opening = async {
            let mut declarer = Declarer::new(link, config, status, deadline);
            for queue in &queues {
                declarer.queue(queue).await?;
            }
            Session::open(link, config.prefetch(self.subscription.window), &queues, counts, tasks, deadline).await
        };
        deadline.run("subscribe", opening).await?
    }

    /// Declares the queue of `index` again, and consumes it on the channel that consumed it before.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) async fn resume(&self, place: &Place, index: usize, deadline: Deadline) -> Result<Resumed> {
        let queue = self.queues().swap_remove(index);
        let resuming = async {
            let Common { config, status, .. } = &self.common;
            Declarer::new(&place.link, config, status, deadline).queue(&queue).await?;
            place.consume(index, &queue, deadline).await
        };
        let consumer = deadline.run("subscribe", resuming).await??;
        Ok(Resumed { index, consumer, queue })
    }
}

fn unique() -> String {
    Uuid::new_v4().simple().to_string()
}
