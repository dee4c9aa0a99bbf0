//! The rules of RPC.

use crate::programs::rule::rules;

rules! {
    /// A cast to a queue that was bound runs once, if every server that reads the queue has the method, and none that
    /// settles beforehand was killed or stopped in a hurry; whatever connections are lost.
    CAST_RUNS = "rpc::cast_runs_exactly_once" [Retention];
    /// A call or a cast runs at most once in all, and a fanout at most once at each server, whichever server is killed; only
    /// what a killed server had that settles afterwards, or what was sent before a connection was lost, may run again,
    /// and says so.
    RUNS_ONCE = "rpc::nothing_runs_twice" [];
    /// A server runs a request at most once while it is up, however often the bus hands it over.
    ONCE_IN_A_LIFE = "rpc::nothing_runs_twice_at_a_server" [];
    /// Of a server that settles beforehand, a stop that leaves too little time counts what it drops: no less than the
    /// casts that never ran though they were owed, and no more than what did not run, unless a connection is lost or a
    /// server killed.
    SUMS = "rpc::what_is_dropped_is_counted" [Retention];
    /// A cast whose method was cut short, since its server was killed that settles afterwards, runs again.
    RUNS_AGAIN = "rpc::what_was_cut_short_runs_again" [Retention];
    /// A request runs only at a server that reads the queue of its topic or name, was up after the request was sent,
    /// and not before the queue was bound to its exchange.
    ENTITLED = "rpc::a_request_runs_at_an_entitled_server" [];
    /// A request runs at, and is refused by, exactly the servers whose namespace and version say so.
    DISPATCHED = "rpc::version_and_namespace_route" [];
    /// A fanout runs at every server of its topic, whatever its exchange, that was up before it was sent and until it
    /// had run.
    FANOUT_REACHES = "rpc::fanout_reaches_every_subscribed_server" [Fanout];
    /// A fanout does not run at a server that was started after it was sent, or had ended before.
    FANOUT_STAYS = "rpc::fanout_reaches_nobody_else" [Fanout];
    /// What a call returns, or fails with, is what its own request gave, at a server where it ran before.
    OWN_REPLY = "rpc::a_reply_answers_its_own_call" [];
    /// A patient call is answered if a server that may take it is up all the while, unless a connection is lost while
    /// the request is on its way, or it ran at a server that was stopped in a hurry; what ran is answered all the same.
    /// What another server dropped when it was stopped is answered too: it did not run.
    ANSWERED = "rpc::a_call_in_time_is_answered" [];
    /// A call ends by its deadline, give or take what the machine needs.
    IN_TIME = "rpc::a_call_ends_by_its_deadline" [];
    /// A mandatory request where no queue is bound is undeliverable, unless its sender gave up before, or a connection
    /// was lost while the request or its return was on its way.
    SAYS_UNDELIVERABLE = "rpc::an_undeliverable_call_says_so" [Mandatory];
    /// A request is undeliverable only if it is mandatory and may have met no queue.
    ONLY_UNDELIVERABLE = "rpc::only_what_has_no_queue_is_undeliverable" [];
    /// A request whose send failed as undeliverable, or before it was sent, does not run.
    NEVER_RUNS = "rpc::what_is_undeliverable_never_runs" [];
    /// A cast or a fanout succeeds, with or without a server, unless it is mandatory or a connection is lost
    /// under it.
    SUCCEEDS = "rpc::a_cast_is_sent" [];
    /// Of two requests of one sender to one address, the second sent when the first had ended, a server that runs both
    /// starts the first one first, unless it was handed over before.
    ORDER = "rpc::order_holds_from_one_sender" [];
    /// A request says that it was handed over before only if a server that reads its queue has stopped since, or a
    /// connection was lost.
    MARK = "rpc::nothing_is_redelivered_without_a_loss" [RedeliveredFlag];
    /// A server starts.
    STARTS = "lifecycle::a_server_starts" [];
    /// A server that is stopped ends when its methods have.
    STOPS = "lifecycle::a_server_ends_when_it_is_stopped" [];
    /// Every connection that is lost is made again by itself.
    BACK = "lifecycle::every_bus_is_back_after_a_cut" [];
    /// Nothing runs at a server that has ended.
    NOTHING_LATER = "lifecycle::nothing_runs_after_the_end" [];
    /// When every server has run what waited for it and has ended, the bus holds nothing.
    NOTHING_LEFT = "lifecycle::nothing_is_left" [];
}
