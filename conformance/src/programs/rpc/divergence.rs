//! Where the reference breaks a rule, or cannot do what a rule is about: as data, so that nothing is excused in silence.
//!
//! A divergence excuses foreign servers alone, and of those only the ones that it names. Found by these programs, and
//! read in oslo.messaging 18.3.1.

use super::{Server, rules};
use crate::programs::{Divergence, Rule};

/// What foreign servers are excused from.
#[derive(Debug)]
pub(crate) struct Excuse {
    pub(crate) divergence: Divergence,
    concerns: fn(&Server) -> bool,
}

impl Excuse {
    /// Whether `server` is excused.
    pub(crate) fn holds_for(&self, server: &Server) -> bool {
        server.foreign && (self.concerns)(server)
    }
}

/// Nothing that a server of the reference was doing comes back when it is killed.
pub(crate) static ACKNOWLEDGES_FIRST: Excuse = Excuse {
    divergence: Divergence {
        id: "reference::requests_are_acknowledged_on_arrival",
        rules: &[&rules::RUNS_AGAIN, &rules::CAST_RUNS, &rules::ANSWERED],
        says: "A server acknowledges every request before it handles it and can do nothing else, so that what it was asked to \
         settle afterwards is gone when it is killed (`_drivers/amqpdriver.py`, `RpcAMQPListener.__call__`).",
    },
    concerns: |server| server.at_least_once,
};

/// What reaches a server of the reference while it stops may be gone.
pub(crate) static LOSES_AT_STOP: Excuse = Excuse {
    divergence: Divergence {
        id: "reference::a_server_loses_what_arrives_while_it_stops",
        rules: &[&rules::CAST_RUNS, &rules::ANSWERED],
        says: "Between `stop()` and the end of `wait()` a server goes on consuming. `Connection.close` deletes its fanout \
         queue, and while it waits for the answer it hands every request that has arrived to the listener, which \
         acknowledges it and keeps it in a list that nobody reads any more (`_drivers/impl_rabbit.py`, \
         `Connection.close`; `_drivers/amqpdriver.py`, `AMQPListener.cleanup`).",
    },
    concerns: |_| true,
};

/// A server of the reference with several threads starts methods in any order.
pub(crate) static STARTS_IN_ANY_ORDER: Excuse = Excuse {
    divergence: Divergence {
        id: "reference::threads_start_in_any_order",
        rules: &[&rules::ORDER],
        says: "A server hands requests in order to a pool of threads, two of which may start them in either order, unless \
         there is but one (`server.py`, `MessageHandlingServer._on_incoming`).",
    },
    concerns: |server| server.concurrency > 1,
};

/// All of them.
pub(crate) static ALL: &[&Excuse] = &[&ACKNOWLEDGES_FIRST, &LOSES_AT_STOP, &STARTS_IN_ANY_ORDER];

/// Whether a divergence is known that breaks `rule`.
pub(crate) fn excuses(rule: &Rule) -> bool {
    ALL.iter().any(|excuse| excuse.divergence.rules.contains(&rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_divergence_excuses_foreign_servers_alone() {
        let ours = Server::new("t", "a").at_least_once();
        for excuse in ALL {
            assert!(!excuse.holds_for(&ours), "{}", excuse.divergence.id);
            assert!(excuse.holds_for(&ours.clone().foreign()), "{}", excuse.divergence.id);
        }
        assert!(!STARTS_IN_ANY_ORDER.holds_for(&ours.clone().foreign().concurrency(1)));
        assert!(!ACKNOWLEDGES_FIRST.holds_for(&Server::new("t", "a").foreign()));
    }
}
