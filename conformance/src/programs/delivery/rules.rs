//! The rules of delivery, each as a sentence that reports print.

use crate::programs::rule::rules;

rules! {
    /// A publish succeeds, unless it is mandatory and no queue is bound, comes too late,
    /// or asks for what the driver does not declare.
    PUBLISHED = "delivery::a_publish_ends_as_it_must" [];
    /// A mandatory publish is undeliverable exactly if no queue is bound where it goes.
    RETURNED = "delivery::a_return_is_told" [Mandatory];
    /// What needs a behaviour that the driver does not declare is refused as unsupported.
    REFUSED = "delivery::what_is_not_declared_is_refused" [];
    /// A subscription opens its listener, unless its queue has a long name or its driver has no pools.
    OPENED = "delivery::a_listener_opens" [];
    /// A reader is handed only messages that were routed to a queue of its own.
    ADDRESSED = "delivery::a_message_comes_from_a_queue_it_was_sent_to" [];
    /// A name of more than 255 bytes is refused as too large, or means a queue that no
    /// other name refers to; a shorter one is taken.
    LONG_NAMES = "delivery::a_long_name_is_refused_or_another_one" [];
    /// Identity, body and headers arrive as they were sent.
    UNCHANGED = "delivery::a_message_arrives_unchanged" [];
    /// What was acknowledged, rejected, or settled before handover is not handed over again, unless connections were
    /// lost just then: no bus says that it has heard of it.
    GONE = "delivery::what_is_settled_is_gone" [];
    /// An unsettled message is not delivered to another reader, until its connection is lost.
    ONE_HAND = "delivery::a_copy_is_in_one_hand" [];
    /// What was handed over before says so when it comes again, also over a loss of connections.
    MARKED = "delivery::what_comes_back_says_so" [RedeliveredFlag];
    /// A message says that it was handed over before only if it was given back, or a reader
    /// of its queue has ended or lost its connection.
    FRESH = "delivery::what_is_new_looks_new" [RedeliveredFlag];
    /// A copy that was not settled, may not have expired and did not go with a private queue is handed over in the end.
    LOST = "delivery::nothing_is_lost" [Retention];
    /// A message that lay in a queue without readers for longer than its life is not handed over.
    EXPIRED = "delivery::what_expired_is_dropped" [];
    /// One reader is handed the new messages of one publisher from one queue in the order of their publishes.
    ORDER = "delivery::order_holds_in_a_queue" [];
    /// A poll gives at most as many messages as it was asked for, and at least one.
    AT_MOST = "delivery::a_poll_takes_no_more_than_its_maximum" [];
    /// A reader that settles itself holds at most its window for each of its queues.
    WINDOW = "delivery::the_window_bounds_what_is_unsettled" [];
    /// A message in hand can be settled until its listener is closed, and not after: that
    /// fails as closed, or as disconnected where the transport was closed under the listener;
    /// and as disconnected once its connection was lost.
    SETTLED = "delivery::settling_succeeds_until_the_end" [];
    /// A stopped listener gives what it was handed, and then its end.
    ENDED = "lifecycle::a_stopped_listener_is_drained_and_ends" [];
    /// A poll during which the transport is closed fails as closed.
    ENDED_WITH = "lifecycle::a_poll_ends_with_its_transport" [];
    /// Every connection that is lost is made again by itself.
    BACK = "lifecycle::every_transport_is_back_after_a_cut" [];
    /// Stopping and closing a listener succeeds; closing one that lost its connection
    /// after it was stopped may fail as disconnected.
    CLOSED = "lifecycle::a_listener_closes" [];
    /// A transport that works says that it is ready, and one that was closed says that.
    HEALTH = "lifecycle::health_follows_the_transport" [];
    /// What is asked of a closed transport fails as closed.
    OVER = "lifecycle::a_closed_transport_does_nothing" [];
    /// When every message is settled and every listener closed, the bus holds nothing.
    NOTHING_LEFT = "lifecycle::nothing_is_left_in_a_queue" [];
}
