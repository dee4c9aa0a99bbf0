//! What is known about each broker of a URL. It survives the loss of a link.

pub(crate) mod channel_quota;

use std::sync::{Mutex, PoisonError};

use tracing::warn;

/// Whether a broker allows queues that are neither durable nor exclusive.
/// RabbitMQ 4.0 warns about them, and 4.3 denies them unless a setting permits them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransientQueues {
    /// The probe queue was declared, or the configuration declares nothing transient and there was no probe.
    Allowed,
    /// The broker refused the probe for another reason.
    /// The driver declares transient queues; the result decides.
    Unknown,
    /// The broker closes the connection that declares one.
    /// So exchanges and shared queues are declared durable.
    Denied,
}

/// What one broker has answered. It is kept across links, so each broker is asked once.
/// One per host of the URL, because a rolling upgrade may have releases side by side.
#[derive(Debug, Default)]
pub(crate) struct BrokerFacts {
    /// `None` until a link to this host has asked.
    transient: Mutex<Option<TransientQueues>>,
}

impl BrokerFacts {
    /// Whether the broker allows transient queues; `None` before the first probe.
    /// A later change shows in the errors of declarations.
    pub(crate) fn transient(&self) -> Option<TransientQueues> {
        *self.transient.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records whether the broker at `host` allows transient queues. Logs once that it denies them.
    /// The last answer counts: a declaration may be denied later, although the probe was allowed.
    pub(crate) fn learn(&self, host: &str, answer: TransientQueues) {
        // The old answer, to log a change once.
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
