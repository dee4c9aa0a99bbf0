//! The rules that every history of a program of RPC satisfies, each as a sentence.

use crate::programs::rule::rules;

rules! {
    /// A cast to a bound queue runs once, whatever connections are lost, if every server that reads the queue has the
    /// method and none that acknowledges before it runs was killed or stopped in a hurry.
    CAST_RUNS = "rpc::cast_runs_exactly_once" [Retention];
    /// A call or a cast runs at most once in all, a fanout at most once at each server. Only a
    /// request that a killed server with late acknowledgement had, or that was sent before a cut, may
    /// run again, and is then marked as redelivered.
    RUNS_ONCE = "rpc::nothing_runs_twice" [];
    /// A server runs a request at most once while it is up, however often the bus delivers it.
    ONCE_IN_A_LIFE = "rpc::nothing_runs_twice_at_a_server" [];
    /// A server that acknowledges before it runs counts the requests that a hurried stop drops: at least the owed casts
    /// that never ran, and at most the requests that did not run, unless a connection is lost or a server is killed.
    SUMS = "rpc::what_is_dropped_is_counted" [Retention];
    /// A cast that a kill interrupts at a server with late acknowledgement runs again.
    RUNS_AGAIN = "rpc::what_was_cut_short_runs_again" [Retention];
    /// A request runs only at a server that reads the queue of its topic or name, that was up after the request was
    /// sent, and only after the queue was bound to its exchange.
    ENTITLED = "rpc::a_request_runs_at_an_entitled_server" [];
    /// A request runs at, or is refused by, a server exactly as the namespaces and versions of the server say.
    DISPATCHED = "rpc::version_and_namespace_route" [];
    /// A fanout runs at every server of its topic, whatever its exchange, that
    /// was up from before the send until it had run.
    FANOUT_REACHES = "rpc::fanout_reaches_every_subscribed_server" [Fanout];
    /// A fanout does not run at a server that started after the send or had ended before it.
    FANOUT_STAYS = "rpc::fanout_reaches_nobody_else" [Fanout];
    /// A call returns, or fails with, the result of its own request, from a server where the request ran before.
    OWN_REPLY = "rpc::a_reply_answers_its_own_call" [];
    /// A patient call is answered if a server that may take it is up throughout, unless a connection is lost while
    /// the request is in flight, or the request was interrupted at a server that was stopped in a hurry. A request
    /// that ran is answered in any case; one that a stopped server dropped is answered as not run.
    ANSWERED = "rpc::a_call_in_time_is_answered" [];
    /// A call ends by its deadline, with an allowance for a busy machine.
    IN_TIME = "rpc::a_call_ends_by_its_deadline" [];
    /// A mandatory request without a bound queue is undeliverable, unless its sender gave up before, or a connection
    /// was lost while the request or its return was in flight; a call may time out if one was lost before it.
    SAYS_UNDELIVERABLE = "rpc::an_undeliverable_call_says_so" [Mandatory];
    /// A request is undeliverable only if it is mandatory and no queue may have been bound.
    ONLY_UNDELIVERABLE = "rpc::only_what_has_no_queue_is_undeliverable" [];
    /// A request whose send failed as undeliverable, or before it was sent, does not run.
    NEVER_RUNS = "rpc::what_is_undeliverable_never_runs" [];
    /// A cast or a fanout succeeds, with or without a server, unless it is mandatory or its connection is lost.
    SUCCEEDS = "rpc::a_cast_is_sent" [];
    /// Of two requests of one sender to one address, the second sent after the first had ended, a server that runs
    /// both starts the first one first, unless it was redelivered.
    ORDER = "rpc::order_holds_from_one_sender" [];
    /// A request is marked as redelivered only if a server that reads its queue has
    /// stopped, or a connection was lost, since it was sent.
    MARK = "rpc::nothing_is_redelivered_without_a_loss" [RedeliveredFlag];
    /// A server that is started subscribes to its queues without an error.
    STARTS = "lifecycle::a_server_starts" [];
    /// A stopped server ends when its methods have ended.
    STOPS = "lifecycle::a_server_ends_when_it_is_stopped" [];
    /// Every lost connection is restored without further action.
    BACK = "lifecycle::every_bus_is_back_after_a_cut" [];
    /// No method starts at a server that has ended.
    NOTHING_LATER = "lifecycle::nothing_runs_after_the_end" [];
    /// When every server has run its waiting requests and has ended, the bus holds nothing.
    NOTHING_LEFT = "lifecycle::nothing_is_left" [];
}
