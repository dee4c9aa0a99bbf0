//! What a listener does that could not come back: try again, take another name, or end. Pure.

use oslo_messaging::{Error, ErrorKind};

use crate::consume::queue_role::Queue;
use crate::topology::name_lease::is_taken;

/// What to do after a try to come back has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It may work the next time.
    Again,
    /// Somebody has to mend something; it is tried again, with patience.
    Mend,
    /// The private queue cannot come back, and nobody knows its name: another does as well.
    Rename,
    /// The name is known to others, and what they send to it is lost: whoever reads must start anew.
    End,
}

/// What to do after `error` over `queue`. `settling` says that the broker has only just come back: a queue that it has
/// not found yet, or that it still holds for a connection that is gone, is given a little time.
pub(crate) fn fate(error: &Error, queue: Queue, settling: bool) -> Fate {
    if error.is_transient() {
        return Fate::Again;
    }
    let unreachable = error.kind() == ErrorKind::Topology && says_unreachable(&error.to_string());
    match queue {
        _ if (unreachable || is_taken(error)) && settling => Fate::Again,
        Queue::Inbox => Fate::End,
        Queue::Private if unreachable => Fate::Rename,
        Queue::Private | Queue::Shared => Fate::Mend,
    }
}

/// The broker's words for a queue that is on record and does not run (404, in RabbitMQ's `rabbit_amqqueue`), and for one
/// that is another connection's own (405).
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
            (topology(DOWN), Queue::Inbox, Fate::End),
            (topology(LOCKED), Queue::Inbox, Fate::End),
            (topology(DOWN), Queue::Private, Fate::Rename),
            (topology(LOCKED), Queue::Private, Fate::Rename),
            (topology(TYPE), Queue::Private, Fate::Mend),
            (topology(DOWN), Queue::Shared, Fate::Mend),
            (topology(LOCKED), Queue::Shared, Fate::Mend),
            (Error::new(ErrorKind::Denied, "declare queue"), Queue::Shared, Fate::Mend),
            (transient(), Queue::Inbox, Fate::Again),
            (transient(), Queue::Shared, Fate::Again),
        ] {
            assert_eq!(fate(&error, queue, false), settled, "{error} {queue:?}");
        }
    }

    #[test]
    fn a_broker_that_has_just_come_back_is_given_time_to_find_its_queues_and_for_nothing_else() {
        let topology = |text: &'static str| Error::new(ErrorKind::Topology, "declare queue").with_source(text);
        for (error, queue, settling) in [
            (topology(DOWN), Queue::Inbox, Fate::Again),
            (topology(LOCKED), Queue::Private, Fate::Again),
            (topology(DOWN), Queue::Shared, Fate::Again),
            (topology(TYPE), Queue::Inbox, Fate::End),
            (topology(TYPE), Queue::Shared, Fate::Mend),
            (Error::new(ErrorKind::Denied, "declare queue"), Queue::Inbox, Fate::End),
        ] {
            assert_eq!(fate(&error, queue, true), settling, "{error} {queue:?}");
        }
    }
}
