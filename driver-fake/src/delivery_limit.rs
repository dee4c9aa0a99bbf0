//! The delivery limit of quorum queues: which returned messages count as failed, and when a message is dropped.

use oslo_messaging::driver::DeliveryCount;

/// How the names of dead-letter queues end. The AMQP driver declares them without a limit.
const DEAD_LETTERS: &str = ".dead";

/// The delivery limit of a broker's shared queues, which then behave as quorum queues.
///
/// A queue counts the failed deliveries of each message and reports the count with a redelivered one
/// ([`Message::delivery_count`](oslo_messaging::driver::Message::delivery_count)). A message whose count exceeds the
/// limit is dropped, which [`Counters::over_limit`](crate::Counters::over_limit) counts. Private queues have no limit.
///
/// ```
/// use oslo_messaging_fake::{CountedReturns, DeliveryLimit, FakeBroker, FakeConfig};
///
/// // Quorum queues of RabbitMQ 4.3, which drop a message when its fourth consumer is lost.
/// let limit = DeliveryLimit::new(3).with_counted(CountedReturns::Failed);
/// let broker = FakeBroker::with_config(FakeConfig::default().with_delivery_limit(limit));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryLimit {
    /// How many failed deliveries a message survives.
    pub failures: u64,
    /// Which returned messages count as failed. Default: [`CountedReturns::All`].
    pub counted: CountedReturns,
    /// Whether dead-letter queues (`*.dead`) have the limit too, as if another program had declared them. The AMQP
    /// driver declares its own without a limit. Default: `false`.
    pub dead_letters: bool,
}

/// Which returned messages a queue counts as failed deliveries. RabbitMQ changed this in 4.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum CountedReturns {
    /// Every returned message: requeued, or left unsettled by a consumer that ended. RabbitMQ up to 4.2.
    #[default]
    All,
    /// Only messages that a consumer left unsettled when its channel or connection ended; a requeued message does not
    /// count. RabbitMQ from 4.3, where `basic.nack` is a return without failure. (`basic.reject` with `requeue`, which
    /// counts there, is not used by the AMQP driver.)
    Failed,
}

impl DeliveryLimit {
    /// A limit of `failures` for every shared queue but dead-letter queues, which counts as RabbitMQ up to 4.2 does.
    #[must_use]
    pub fn new(failures: u64) -> Self {
        Self { failures, counted: CountedReturns::default(), dead_letters: false }
    }

    /// Sets [`counted`](Self::counted), by which the broker behaves as RabbitMQ before or from 4.3 does.
    #[must_use]
    pub fn with_counted(mut self, counted: CountedReturns) -> Self {
        self.counted = counted;
        self
    }

    /// Limits the queues whose names end in `.dead` too, which the AMQP driver exempts.
    #[must_use]
    pub fn with_dead_letters(mut self) -> Self {
        self.dead_letters = true;
        self
    }

    /// Whether the shared queue called `name` has this limit: dead-letter queues have it only if the limit says so.
    pub(crate) fn covers(&self, name: &str) -> bool {
        self.dead_letters || !name.ends_with(DEAD_LETTERS)
    }

    /// Decides whether a return is a failed delivery; a lost consumer always is one.
    pub(crate) fn counts(&self, reason: ReturnReason) -> bool {
        match self.counted {
            CountedReturns::All => true,
            CountedReturns::Failed => reason == ReturnReason::ConsumerLost,
        }
    }

    /// The delivery count to report with a message; `None` if no delivery failed.
    pub(crate) fn shown(&self, failed: u64) -> Option<DeliveryCount> {
        (failed > 0).then_some(DeliveryCount::new(failed, Some(self.failures)))
    }
}

/// Why a message returns to its queue: the limit counts each reason or only a lost consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReturnReason {
    /// Its receiver requeued it, or dropped it unsettled while the channel was open.
    Requeued,
    /// Its channel or connection ended, or was interrupted, while it was unsettled.
    ConsumerLost,
}
