//! The configuration of a broker: its limits, and how its queues expire.

use std::time::Duration;

use crate::delivery_limit::DeliveryLimit;

/// The limits of a [`FakeBroker`](crate::FakeBroker). The defaults are those of RabbitMQ 4 and of the AMQP driver.
///
/// Pass it to [`FakeBroker::with_config`](crate::FakeBroker::with_config); it cannot be changed later, except for the
/// delivery limit ([`FakeBroker::limit_deliveries`](crate::FakeBroker::limit_deliveries)).
///
/// ```
/// use std::time::Duration;
///
/// use oslo_messaging_fake::{FakeBroker, FakeConfig};
///
/// let config = FakeConfig::default().with_max_message_size(1024).with_queue_expiry(Duration::from_secs(60));
/// let broker = FakeBroker::with_config(config);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FakeConfig {
    /// The largest accepted body, in bytes; a larger one fails with `TooLarge`. Default: 16 MiB, as in RabbitMQ 4.
    pub max_message_size: usize,
    /// How long a private queue exists after its last consumer is gone.
    /// Default: 1800 s, as the reference's `rabbit_transient_queues_ttl`.
    pub queue_expiry: Duration,
    /// How many failed deliveries a shared queue allows each message. Default: `None`, as in a classic queue.
    pub delivery_limit: Option<DeliveryLimit>,
}

impl Default for FakeConfig {
    fn default() -> Self {
        Self { max_message_size: 16 * 1024 * 1024, queue_expiry: Duration::from_secs(1800), delivery_limit: None }
    }
}

impl FakeConfig {
    /// Sets [`max_message_size`](Self::max_message_size): a body of more than `bytes` then reaches no queue.
    #[must_use]
    pub fn with_max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// Sets [`queue_expiry`](Self::queue_expiry), counted from the end of the last consumer or a later declaration.
    ///
    /// With zero, the first operation on the broker after that deletes the queue.
    #[must_use]
    pub fn with_queue_expiry(mut self, expiry: Duration) -> Self {
        self.queue_expiry = expiry;
        self
    }

    /// Shared queues then behave as quorum queues; without a limit they behave as classic ones.
    ///
    /// Sets [`delivery_limit`](Self::delivery_limit), which can also change while the broker runs.
    #[must_use]
    pub fn with_delivery_limit(mut self, limit: DeliveryLimit) -> Self {
        self.delivery_limit = Some(limit);
        self
    }
}
