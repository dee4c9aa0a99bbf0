//! Where the reference implementation breaks a rule: as data, so that reports list every excuse.
//!
//! A divergence excuses only the foreign actors that it names. These programs found each
//! one. The source is that of oslo.messaging 18.3.1.

use super::request::Kind;
use super::{Request, Server, rules};
use crate::programs::Divergence;
use crate::programs::divergence::Excuse;

impl Excuse<Server> {
    /// `false` for every server of this library: only foreign ones are excused.
    pub(crate) fn holds_for(&self, server: &Server) -> bool {
        server.foreign && (self.concerns)(server)
    }
}

impl Excuse<Request> {
    /// `false` unless the sender of `request` is `foreign`.
    pub(crate) fn holds_for(&self, foreign: bool, request: &Request) -> bool {
        foreign && (self.concerns)(request)
    }
}

/// A killed server of the reference has acknowledged its requests, so they do not come back.
pub(crate) static ACKNOWLEDGES_FIRST: Excuse<Server> = Excuse {
    divergence: Divergence {
        id: "reference::requests_are_acknowledged_on_arrival",
        rules: &[&rules::RUNS_AGAIN, &rules::CAST_RUNS, &rules::ANSWERED],
        says: "A server acknowledges every request before it handles it and can do nothing else, so that what it was asked to \
         settle afterwards is gone when it is killed (`_drivers/amqpdriver.py`, `RpcAMQPListener.__call__`).",
    },
    concerns: |server| server.at_least_once,
};

/// A request that reaches a server of the reference while it stops may be lost.
pub(crate) static LOSES_AT_STOP: Excuse<Server> = Excuse {
    divergence: Divergence {
        id: "reference::a_server_loses_what_arrives_while_it_stops",
        rules: &[&rules::CAST_RUNS, &rules::ANSWERED],
        says: "Between `stop()` and the end of `wait()` a server goes on consuming. `Connection.close` deletes its fanout \
         queue, and while it waits for the answer it hands every request that has arrived to the listener, which \
         acknowledges it and keeps it in a list that is never read again (`_drivers/impl_rabbit.py`, \
         `Connection.close`; `_drivers/amqpdriver.py`, `AMQPListener.cleanup`).",
    },
    concerns: |_| true,
};

/// A server of the reference does not count the requests that it loses.
pub(crate) static COUNTS_NOTHING: Excuse<Server> = Excuse {
    divergence: Divergence {
        id: "reference::a_server_counts_no_losses",
        rules: &[&rules::SUMS],
        says: "A server keeps no count of the requests that it acknowledged and did not run. The list that holds them goes \
         with the listener (`_drivers/amqpdriver.py`, `AMQPListener.cleanup`).",
    },
    concerns: |_| true,
};

/// A server of the reference with several threads starts methods in any order.
pub(crate) static STARTS_IN_ANY_ORDER: Excuse<Server> = Excuse {
    divergence: Divergence {
        id: "reference::threads_start_in_any_order",
        rules: &[&rules::ORDER],
        says: "A server hands requests in order to a pool of threads, two of which may start them in either order, unless \
         there is but one (`server.py`, `MessageHandlingServer._on_incoming`).",
    },
    concerns: |server| server.concurrency > 1,
};

/// A sender of the reference fails once after the exchange of a fanout was deleted.
pub(crate) static FANOUT_FAILS: Excuse<Request> = Excuse {
    divergence: Divergence {
        id: "reference::a_fanout_fails_when_its_exchange_has_gone",
        rules: &[&rules::SUCCEEDS],
        says: "The exchange of a fanout goes with the last queue bound to it. A connection declares it once, keeps that in \
               mind, and fails with `MessageDeliveryFailure` (404) when it publishes to what has gone; so does one \
               between whose declaration and publication it goes. The next attempt declares it again \
               (`_drivers/impl_rabbit.py`, `Connection._publish`, `_declared_exchanges`).",
    },
    concerns: |request| request.kind == Kind::Fanout,
};

/// Every divergence, in the order of the report.
pub(crate) static ALL: &[&Divergence] = &[
    &ACKNOWLEDGES_FIRST.divergence,
    &LOSES_AT_STOP.divergence,
    &COUNTS_NOTHING.divergence,
    &STARTS_IN_ANY_ORDER.divergence,
    &FANOUT_FAILS.divergence,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_divergence_excuses_foreign_actors_alone() {
        let ours = Server::new("t", "a").at_least_once();
        for excuse in [&ACKNOWLEDGES_FIRST, &LOSES_AT_STOP, &COUNTS_NOTHING, &STARTS_IN_ANY_ORDER] {
            assert!(!excuse.holds_for(&ours), "{}", excuse.divergence.id);
            assert!(excuse.holds_for(&ours.clone().foreign()), "{}", excuse.divergence.id);
        }
        assert!(!STARTS_IN_ANY_ORDER.holds_for(&ours.clone().foreign().concurrency(1)));
        assert!(!ACKNOWLEDGES_FIRST.holds_for(&Server::new("t", "a").foreign()));
        assert!(FANOUT_FAILS.holds_for(true, &Request::fanout("t")));
        assert!(!FANOUT_FAILS.holds_for(false, &Request::fanout("t")));
        assert!(!FANOUT_FAILS.holds_for(true, &Request::cast("t")));
    }
}
