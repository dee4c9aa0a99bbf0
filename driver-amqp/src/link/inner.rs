//! The state of one transport, which its publishers, listeners and supervisor share.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::brokers::channel_quota::ChannelQuota;
use crate::config::AmqpConfig;
use crate::counters::Counts;
use crate::link::Link;
use crate::link::current::Gate;
use crate::link::health::Status;
use crate::link::resubscribe_barrier::Roll;
use crate::queue_checks::Checks;
use crate::settler_tasks::Tasks;

/// The state of one transport.
///
/// The task of a settler must not hold this: `settlers` aborts these tasks when the last owner of this is gone, so a task
/// that is an owner would never end.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: AmqpConfig,
    pub(crate) current: Gate,
    pub(crate) health: Arc<Status>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) barrier: Arc<Roll>,
    pub(crate) queue_checks: Arc<Checks>,
    /// The limit of channels, for all connections of the transport together.
    pub(crate) quota: Arc<ChannelQuota>,
    pub(crate) settlers: Tasks,
    /// Cancelled when the transport closes.
    pub(crate) closing: CancellationToken,
}

impl Inner {
    /// The state of a transport whose first link is open.
    pub(crate) fn new(config: AmqpConfig, link: &Arc<Link>, quota: Arc<ChannelQuota>) -> Self {
        let health = Arc::new(Status::ready());
        Self {
            current: Gate::open(Arc::clone(link)),
            barrier: Arc::new(Roll::new(Arc::clone(&health))),
            health,
            counts: Arc::default(),
            queue_checks: Arc::new(Checks::new(config.queue_checks)),
            quota,
            settlers: Tasks::default(),
            closing: CancellationToken::new(),
            config,
        }
    }
}
