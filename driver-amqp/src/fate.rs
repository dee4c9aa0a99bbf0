//! What a listener does that could not come back: try again, take another name, or end. Pure.

use oslo_messaging::{Error, ErrorKind};

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

/// What kind of queue could not be declared or consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queue {
    /// Its name travels in requests.
    Inbox,
    /// Ours, and reached through an exchange.
    Private,
    /// Everybody's.
    Shared,
}

/// What to do after `error` over `queue`.
pub(crate) fn fate(error: &Error, queue: Queue) -> Fate {
    if error.is_transient() {
        return Fate::Again;
    }
    let text = error.to_string();
    // The broker's words for a queue on a node that is down (404), and for one that is another connection's own (405).
    let unreachable = text.contains("is down or inaccessible") || text.contains("RESOURCE_LOCKED");
    match queue {
        Queue::Inbox => Fate::End,
        Queue::Private if unreachable && error.kind() == ErrorKind::Topology => Fate::Rename,
        Queue::Private | Queue::Shared => Fate::Mend,
    }
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
        for (error, queue, expected) in [
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
            assert_eq!(fate(&error, queue), expected, "{error} {queue:?}");
        }
    }
}
