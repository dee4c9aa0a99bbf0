//! What a transport learned of each broker that its URL names, kept from one link to the next.

pub(crate) mod channel_quota;

use std::sync::{Mutex, PoisonError};

use tracing::warn;

/// What a broker thinks of transient queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransientQueues {
    Allowed,
    /// The broker refused the question for another reason. They are declared; its answer to that counts.
    Unknown,
    /// Whoever declares one loses the connection.
    Denied,
}

/// What was learned of one broker.
#[derive(Debug, Default)]
pub(crate) struct BrokerFacts {
    transient: Mutex<Option<TransientQueues>>,
}

impl BrokerFacts {
    /// The broker's answer about transient queues, if it gave one. It is asked once: what it takes later shows when something
    /// is declared.
    pub(crate) fn transient(&self) -> Option<TransientQueues> {
        *self.transient.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the broker at `host` thinks of transient queues. Warns once if it denies them.
    pub(crate) fn learn(&self, host: &str, answer: TransientQueues) {
        let known = self.transient.lock().unwrap_or_else(PoisonError::into_inner).replace(answer);
        if answer == TransientQueues::Denied && known != Some(TransientQueues::Denied) {
            warn!(
                host,
                "the broker denies transient queues; the driver declares exchanges and shared queues durable: set \
                 amqp_durable_queues and rabbit_transient_quorum_queue, which Python peers of this broker require"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answer_counts_and_there_is_none_before_the_first() {
        let facts = BrokerFacts::default();
        assert_eq!(facts.transient(), None);
        for answer in [TransientQueues::Unknown, TransientQueues::Denied, TransientQueues::Allowed] {
            facts.learn("h:5672", answer);
            assert_eq!(facts.transient(), Some(answer));
        }
    }
}
