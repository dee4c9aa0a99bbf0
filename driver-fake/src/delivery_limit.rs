//! The delivery limit of quorum queues: which returned messages count, and when one is dropped.

use oslo_messaging::DeliveryCount;

/// Where the dead letters of a queue lie: their queues are declared without a limit.
const DEAD_LETTERS: &str = ".dead";

/// The delivery limit of the shared queues of a broker, which then behave as quorum queues do.
///
/// A queue counts the failed deliveries of each message and tells the receiver of a redelivered one
/// ([`Message::delivery_count`](oslo_messaging::Message::delivery_count)). A message whose count exceeds the limit is
/// dropped, which [`Counters::over_limit`](crate::Counters::over_limit) counts. Private queues have no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryLimit {
    /// How many failed deliveries a message survives.
    pub failures: u64,
    /// Which returned messages count as failed. Default: [`CountedReturns::All`].
    pub counted: CountedReturns,
    /// Whether queues of dead letters (`*.dead`) have the limit too, as those have that another program declared. The
    /// AMQP driver declares its own without a limit. Default: `false`.
    pub dead_letters: bool,
}

/// Which returned messages a queue counts as failed deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum CountedReturns {
    /// Each message that comes back: requeued, or left by a consumer that ended. RabbitMQ up to 4.2.
    #[default]
    All,
    /// Only messages that a consumer left unsettled when its channel or connection ended; a requeued one does not count.
    /// RabbitMQ from 4.3, where `basic.nack` is a return without failure. (`basic.reject` with `requeue`, which counts
    /// there, is not used by the AMQP driver.)
    Failed,
}

impl DeliveryLimit {
    /// A limit of `failures` for each queue but those of dead letters, which counts as RabbitMQ up to 4.2 does.
    #[must_use]
    pub fn new(failures: u64) -> Self {
        Self { failures, counted: CountedReturns::default(), dead_letters: false }
    }

    /// Sets which returned messages count.
    #[must_use]
    pub fn with_counted(mut self, counted: CountedReturns) -> Self {
        self.counted = counted;
        self
    }

    /// Limits queues of dead letters too.
    #[must_use]
    pub fn with_dead_letters(mut self) -> Self {
        self.dead_letters = true;
        self
    }

    /// Whether the shared queue called `name` has this limit.
    pub(crate) fn covers(&self, name: &str) -> bool {
        self.dead_letters || !name.ends_with(DEAD_LETTERS)
    }

    /// Whether a message that comes back for this reason counts as a failed delivery.
    pub(crate) fn counts(&self, returned: Returned) -> bool {
        match self.counted {
            CountedReturns::All => true,
            CountedReturns::Failed => returned == Returned::Left,
        }
    }

    /// What the receiver learns of a message with so many failed deliveries: nothing of one without any.
    pub(crate) fn shown(&self, failed: u64) -> Option<DeliveryCount> {
        (failed > 0).then_some(DeliveryCount::new(failed, Some(self.failures)))
    }
}

/// Why a message comes back to its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returned {
    /// Its receiver gave it back.
    Requeued,
    /// Its channel or connection ended.
    Left,
}
