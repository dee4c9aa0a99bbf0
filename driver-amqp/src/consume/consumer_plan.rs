//! How one queue of a subscription is read.

use lapin::types::FieldTable;
use oslo_messaging::{Lifetime, QueuePlan};

use crate::config::AmqpConfig;
use crate::topology::stream::{StreamPosition, is_stream};

/// A queue, and what its consumer asks for.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerPlan {
    pub(crate) plan: QueuePlan,
    /// Nobody else may read it, though its name is one that somebody else could have.
    pub(crate) alone: bool,
    /// It is deleted with its listener.
    pub(crate) passing: bool,
    pub(crate) stream: bool,
    /// What the consumer is given besides.
    pub(crate) arguments: FieldTable,
}

impl ConsumerPlan {
    /// How the queue of `plan` is read under these settings, if it is a stream from `position`.
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
