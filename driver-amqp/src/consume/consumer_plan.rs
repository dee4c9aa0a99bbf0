//! How one queue of a subscription is consumed: alone or shared, from which offset, and what the close does to it.

use lapin::types::FieldTable;
use oslo_messaging::driver::{Lifetime, QueuePlan};

use crate::config::AmqpConfig;
use crate::topology::stream::{StreamPosition, is_stream};

/// A queue that a session consumes, and the arguments of its consumer.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerPlan {
    /// How the queue is declared and bound. A stream has the name of its exchange.
    pub(crate) plan: QueuePlan,
    /// The consumer must be the only one. Set for stable names, which another process could use by mistake.
    /// Never set for a stream, which all servers of a topic share.
    pub(crate) alone: bool,
    /// The queue is deleted when its listener closes.
    pub(crate) passing: bool,
    /// A stream keeps its messages, so consuming it needs an offset, and its consumers share nothing.
    pub(crate) stream: bool,
    /// Arguments of basic.consume: the offset, for a stream.
    pub(crate) arguments: FieldTable,
}

impl ConsumerPlan {
    /// The plan for the queue of `plan` under this configuration. A stream is read from `position`.
    ///
    /// A private queue with a stable name is consumed alone and expires;
    /// one with a random name is deleted at the close.
    pub(crate) fn of(plan: QueuePlan, config: &AmqpConfig, position: &StreamPosition) -> Self {
        let (private, stream) = (plan.lifetime == Lifetime::Private, is_stream(&plan, config));
        Self {
            alone: private && !stream && config.stable_queue_names,
            passing: private && !stream && !config.stable_queue_names,
            arguments: if stream { position.arguments() } else { FieldTable::default() },
            stream,
            plan,
        }
    }
}
