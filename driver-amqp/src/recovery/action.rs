//! Decides what a listener does after a failed attempt to resubscribe. Pure.

use oslo_messaging::{Error, ErrorKind};

use crate::consume::queue_role::QueueRole;
use crate::topology::name_lease::is_taken;

/// What to do after a failed attempt. Only `GiveUp` is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecoveryAction {
    /// The error is temporary: retry with the usual backoff.
    Retry,
    /// An operator has to change the broker first: retry with long waits, of 2 s at first and 60 s at most.
    /// Meanwhile the listener is unhealthy, and the rest of the transport works.
    RetrySlowly,
    /// The private queue is unusable, and no peer knows its name: retry with a new name.
    Rename,
    /// Peers know the name of the queue, and their messages to it are lost: end the listener with the error.
    GiveUp,
}

impl RecoveryAction {
    /// What the listener does next, for the log. Completes the sentence "a listener could not resubscribe; …".
    pub(crate) fn next_step(self) -> &'static str {
        match self {
            Self::Retry => "it retries",
            Self::RetrySlowly => "it retries slowly until an operator corrects the broker",
            Self::Rename => "it retries with another queue name",
            Self::GiveUp => "it ends with this error",
        }
    }
}

/// What to do after `error`, which is about a queue of this role.
///
/// `settling` means that the broker has just come back: then a queue that it has not recovered yet,
/// or that it still assigns to a lost connection, is retried instead of given up.
pub(crate) fn action_for(error: &Error, queue: QueueRole, settling: bool) -> RecoveryAction {
    if error.is_transient() {
        return RecoveryAction::Retry;
    }
    let unreachable = error.kind() == ErrorKind::Topology && says_unreachable(&error.to_string());
    match queue {
        _ if (unreachable || is_taken(error)) && settling => RecoveryAction::Retry,
        // Another name would not help: the requests on their way name this one.
        QueueRole::Inbox => RecoveryAction::GiveUp,
        QueueRole::Private if unreachable => RecoveryAction::Rename,
        QueueRole::Private | QueueRole::Shared => RecoveryAction::RetrySlowly,
    }
}

/// Whether `text` has the broker's words for a declared queue without a running process (404,
/// `rabbit_amqqueue` of RabbitMQ) or for one that is exclusive to another connection (405).
///
/// The reply code alone does not tell: 404 is also the answer for a queue that does not exist.
fn says_unreachable(text: &str) -> bool {
    const WORDS: [&str; 6] = [
        "is down or inaccessible",
        "may be stopping or being demoted",
        "process is stopped by supervisor",
        "has crashed and failed to restart",
        "failed to perform operation on queue",
        "RESOURCE_LOCKED",
    ];
    WORDS.iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWN: &str = "NOT_FOUND - home node 'rabbit@two' of durable queue 'q' in vhost '/' is down or inaccessible";
    const LOCKED: &str = "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'";
    const TYPE: &str = "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'e'";

    #[test]
    fn an_inbox_ends_where_another_private_queue_takes_a_new_name_and_a_shared_one_waits() {
        let topology = |text: &'static str| Error::new(ErrorKind::Topology, "declare queue").with_source(text);
        let transient = || Error::new(ErrorKind::Refused, "declare queue").transient();
        for (error, queue, settled) in [
            (topology(DOWN), QueueRole::Inbox, RecoveryAction::GiveUp),
            (topology(LOCKED), QueueRole::Inbox, RecoveryAction::GiveUp),
            (topology(DOWN), QueueRole::Private, RecoveryAction::Rename),
            (topology(LOCKED), QueueRole::Private, RecoveryAction::Rename),
            (topology(TYPE), QueueRole::Private, RecoveryAction::RetrySlowly),
            (topology(DOWN), QueueRole::Shared, RecoveryAction::RetrySlowly),
            (topology(LOCKED), QueueRole::Shared, RecoveryAction::RetrySlowly),
            (Error::new(ErrorKind::Denied, "declare queue"), QueueRole::Shared, RecoveryAction::RetrySlowly),
            (transient(), QueueRole::Inbox, RecoveryAction::Retry),
            (transient(), QueueRole::Shared, RecoveryAction::Retry),
        ] {
            assert_eq!(action_for(&error, queue, false), settled, "{error} {queue:?}");
        }
    }

    #[test]
    fn a_broker_that_has_just_come_back_is_given_time_to_find_its_queues_and_for_nothing_else() {
        let topology = |text: &'static str| Error::new(ErrorKind::Topology, "declare queue").with_source(text);
        for (error, queue, settling) in [
            (topology(DOWN), QueueRole::Inbox, RecoveryAction::Retry),
            (topology(LOCKED), QueueRole::Private, RecoveryAction::Retry),
            (topology(DOWN), QueueRole::Shared, RecoveryAction::Retry),
            (topology(TYPE), QueueRole::Inbox, RecoveryAction::GiveUp),
            (topology(TYPE), QueueRole::Shared, RecoveryAction::RetrySlowly),
            (Error::new(ErrorKind::Denied, "declare queue"), QueueRole::Inbox, RecoveryAction::GiveUp),
        ] {
            assert_eq!(action_for(&error, queue, true), settling, "{error} {queue:?}");
        }
    }
}
