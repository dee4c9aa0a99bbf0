//! The state of one transport, which its publishers, listeners and supervisor share.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::brokers::channel_quota::ChannelQuota;
use crate::config::AmqpConfig;
use crate::counters::Counts;
use crate::link::Link;
use crate::link::current::CurrentLink;
use crate::link::health::HealthReporter;
use crate::link::resubscribe_barrier::ResubscribeBarrier;
use crate::queue_checks::QueueChecks;
use crate::settler_tasks::SettlerTasks;

/// The state of one transport. Its owners are the transport, its listeners, and its tasks except the settlers.
///
/// The task of a settler must not hold this: `settlers` aborts these tasks
/// when the last owner of this is gone, so a task that is an owner would never end.
#[derive(Debug)]
pub(crate) struct Inner {
    /// The settings, after the query of the URL was applied. They never change.
    pub(crate) config: AmqpConfig,
    /// The link that everything uses, or waits for.
    pub(crate) current: CurrentLink,
    /// What `Transport::health` reports. The barrier reports unhealthy listeners through it.
    pub(crate) health: Arc<HealthReporter>,
    /// Shared with the settlers, which may outlive this.
    pub(crate) counts: Arc<Counts>,
    /// Delays publishers after a reconnect until listeners have resubscribed.
    pub(crate) barrier: Arc<ResubscribeBarrier>,
    /// Requests checks of the listeners' queues.
    pub(crate) queue_checks: Arc<QueueChecks>,
    /// The limit of channels, for all connections of the transport together.
    pub(crate) quota: Arc<ChannelQuota>,
    /// The tasks that write acknowledgements, for all listeners.
    pub(crate) settlers: SettlerTasks,
    /// Cancelled when the transport closes, after `current` has become `Closed`.
    pub(crate) closing: CancellationToken,
}

impl Inner {
    /// The state of a transport whose first link is open. Starts no task: the transport does.
    pub(crate) fn new(config: AmqpConfig, link: &Arc<Link>, quota: Arc<ChannelQuota>) -> Self {
        let health = Arc::new(HealthReporter::ready());
        Self {
            current: CurrentLink::new(Arc::clone(link)),
            barrier: Arc::new(ResubscribeBarrier::new(Arc::clone(&health))),
            health,
            counts: Arc::default(),
            queue_checks: Arc::new(QueueChecks::new(config.queue_checks)),
            quota,
            settlers: SettlerTasks::default(),
            closing: CancellationToken::new(),
            config,
        }
    }
}
