//! Drivers with one defect each. The suite must catch every one, which puts the suite itself under test.

mod listener;
mod losses;
mod transport;

use std::sync::Arc;

use async_trait::async_trait;
use oslo_messaging::Result;
use oslo_messaging::driver::{Capability, Transport};
use tokio::sync::watch;

use crate::{Budget, Clock, Disturbance, Harness};

/// Defines [`Flaw`]: each row is a variant, the case that must catch it and the rule that must catch it.
macro_rules! flaws {
    ($($(#[$doc:meta])+ $flaw:ident => $case:literal, $rule:literal;)+ undeclared $capabilities:tt) => {
        /// One defect of a driver. Drivers have shipped each of them, or nearly.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Flaw {
            $($(#[$doc])+ $flaw,)+
            /// The driver has a behaviour that it does not declare.
            Undeclared(Capability),
        }

        impl Flaw {
            /// Every flaw, in the order of the report.
            pub const ALL: &'static [Self] = &flaws!(@all [$($flaw)+] $capabilities);

            /// The id of the case that must catch the flaw; other cases may catch it too.
            #[must_use]
            pub fn caught_by(self) -> &'static str {
                match self {
                    $(Self::$flaw => $case,)+
                    Self::Undeclared(capability) => refusing(capability),
                }
            }

            /// The id of the rule that must catch the flaw; other rules may catch it too.
            pub(crate) fn breaks(self) -> &'static str {
                match self {
                    $(Self::$flaw => $rule,)+
                    Self::Undeclared(_) => "delivery::what_is_not_declared_is_refused",
                }
            }
        }
    };
    (@all [$($flaw:ident)+] [$($capability:ident),+]) => {
        [$(Self::$flaw,)+ $(Self::Undeclared(Capability::$capability)),+]
    };
}

flaws! {
    /// Every publish is sent twice, and neither copy is marked as redelivered.
    PublishedTwice => "address::a_topic_reaches_one_of_its_servers", "rpc::nothing_runs_twice";
    /// Every fifth publish is confirmed and discarded.
    LostInSilence => "publish::order_holds_from_one_publisher_to_one_address", "rpc::cast_runs_exactly_once";
    /// Two consecutive publishes are swapped.
    OutOfOrder => "publish::order_holds_from_one_publisher_to_one_address", "rpc::order_holds_from_one_sender";
    /// A message to one server is routed to any server of its topic.
    ServerIgnored => "address::a_server_is_reached_alone", "rpc::a_request_runs_at_an_entitled_server";
    /// Topics of all exchanges go through one exchange, so a message crosses between them.
    ExchangeIgnored => "address::exchanges_keep_topics_apart", "rpc::a_request_runs_at_an_entitled_server";
    /// A listener of one priority receives both `info` and `error`.
    PriorityIgnored => "notification::a_listener_hears_its_topics_and_priorities_alone", "notify::a_handler_has_what_it_wants";
    /// A fanout goes to a topic that no server reads.
    FanoutLost => "address::a_fanout_reaches_every_server_of_every_exchange", "rpc::fanout_reaches_every_subscribed_server";
    /// A fanout reaches only the server that was started last.
    FanoutReachesOne => "address::a_fanout_reaches_every_server_of_every_exchange", "delivery::a_message_comes_from_a_queue_it_was_sent_to";
    /// A mandatory message without a bound queue is discarded and confirmed.
    MandatoryIgnored => "publish::mandatory_to_nobody_is_undeliverable", "rpc::an_undeliverable_call_says_so";
    /// A message without a bound queue fails also if it is not mandatory.
    MandatoryAlways => "publish::to_nobody_succeeds_without_mandatory", "rpc::a_cast_is_sent";
    /// The next publish fails in place of the returned one.
    ReturnCrossed => "publish::a_return_is_told_to_its_own_publisher", "rpc::only_what_has_no_queue_is_undeliverable";
    /// A reply goes to the caller of the previous reply.
    ReplyCrossed => "rpc_reply::they_reach_their_own_callers", "rpc::a_call_in_time_is_answered";
    /// A message to a queue by name is discarded, unless the queue is an inbox.
    DirectReachesInboxesAlone => "neighbours::a_queue_is_reached_past_its_exchange", "delivery::a_return_is_told";
    /// A message is sent without its headers; id and body stay.
    HeadersLost => "publish::what_is_sent_arrives_unchanged", "delivery::a_message_arrives_unchanged";
    /// Header values are truncated to 255 bytes.
    LongHeaderCut => "limits::headers_of_every_length_arrive", "delivery::a_message_arrives_unchanged";
    /// Bytes of a body that are not UTF-8 become U+FFFD.
    BodyMangled => "publish::what_is_sent_arrives_unchanged", "delivery::a_message_arrives_unchanged";
    /// Bodies are truncated to 512 KiB.
    LongBodyCut => "limits::a_megabyte_arrives_whole", "delivery::a_message_arrives_unchanged";
    /// Names are truncated to 255 bytes.
    LongNameCut => "limits::a_longer_name_is_too_large_and_never_cut", "delivery::a_long_name_is_refused_or_another_one";
    /// A time to live is not sent, so no message expires.
    ExpirationIgnored => "retention::an_expired_message_is_dropped", "delivery::what_expired_is_dropped";
    /// A time to live in milliseconds is sent as seconds.
    ExpirationInSeconds => "retention::an_expired_message_is_dropped", "delivery::what_expired_is_dropped";
    /// Requests never expire; other messages do.
    RequestsNeverExpire => "rpc_time::a_call_that_expired_in_its_queue_never_runs", "delivery::what_expired_is_dropped";
    /// Any time to live is sent as zero.
    ExpiresAtOnce => "retention::a_message_is_not_dropped_before_it_expires", "delivery::nothing_is_lost";
    /// `ensure_queue` is ignored, so a notification without a listener is lost.
    QueueNotEnsured => "notification::it_is_kept_before_anyone_listens", "notify::an_event_is_told";
    /// Members of a pool read the shared queue instead of the pool's.
    PoolIgnored => "notification::every_pool_gets_a_copy_that_its_members_share", "notify::every_copy_is_handled_or_given_up";
    /// Each member of a pool has a queue of its own.
    PoolNotShared => "notification::every_pool_gets_a_copy_that_its_members_share", "notify::one_reader_has_it_at_a_time";
    /// An operation whose deadline has passed is executed; every deadline is ten seconds away or more.
    DeadlineIgnored => "publish::a_deadline_that_passed_is_a_timeout", "delivery::a_publish_ends_as_it_must";
    /// The subscribe of a server returns before its queues exist; its first poll or stop declares them.
    SubscribesLate => "publish::mandatory_to_somebody_succeeds_as_soon_as_subscribe_returned", "delivery::a_return_is_told";
    /// A poll returns up to three messages more than its maximum.
    PollOverflows => "listen::a_poll_takes_no_more_than_its_maximum", "delivery::a_poll_takes_no_more_than_its_maximum";
    /// A poll that is cancelled within 5 ms after messages came drops them.
    CancelledPollLoses => "listen::a_cancelled_poll_loses_nothing", "delivery::nothing_is_lost";
    /// The window is a hundred times too large.
    WindowIgnored => "listen::the_window_bounds_what_is_unsettled", "delivery::the_window_bounds_what_is_unsettled";
    /// The poll of a stopped and drained listener waits forever.
    StopNeverEnds => "listen::a_stopped_listener_is_drained_and_ends", "lifecycle::a_server_ends_when_it_is_stopped";
    /// A stop takes, and so may acknowledge, the messages that the driver has prefetched.
    StopTakesTheRest => "listen::a_stopped_listener_acknowledges_nothing_more", "delivery::nothing_is_lost";
    /// A dropped listener stays a consumer, and keeps the messages that it gets.
    DroppedGoesOn => "listen::a_dropped_listener_stops_consuming", "delivery::nothing_is_lost";
    /// Closing a listener only drops it, so its private queue stays until it expires.
    CloseLeavesQueue => "retention::a_private_queue_goes_with_its_listener", "delivery::a_return_is_told";
    /// Closing one listener ends every listener of its transport.
    CloseEndsNeighbours => "neighbours::a_listener_ends_without_the_other", "delivery::nothing_is_lost";
    /// A waiting poll does not end when its transport is closed.
    ClosedPollHangs => "close::an_open_listener_ends_with_its_transport", "lifecycle::a_poll_ends_with_its_transport";
    /// Acknowledging a message requeues it.
    AcknowledgedComesBack => "settle::an_acknowledged_message_is_gone", "delivery::what_is_settled_is_gone";
    /// Rejecting a message requeues it.
    RejectedComesBack => "settle::a_rejected_message_is_gone", "delivery::what_is_settled_is_gone";
    /// Requeueing a message rejects it, so it is lost.
    RequeueDrops => "settle::a_requeued_message_comes_back", "delivery::nothing_is_lost";
    /// A message that is dropped unsettled stays unsettled until its listener ends.
    DroppedStaysOut => "settle::a_message_dropped_unsettled_comes_back", "delivery::nothing_is_lost";
    /// A redelivered message looks like a first delivery.
    RedeliveredFlagLost => "settle::what_comes_back_says_so", "delivery::what_comes_back_says_so";
    /// Every message is marked as redelivered, also at its first delivery.
    RedeliveredAlways => "publish::what_is_sent_arrives_unchanged", "rpc::nothing_is_redelivered_without_a_loss";
    /// `Settle::BeforeHandover` is treated as `ByReceiver`.
    HandedOverUnsettled => "settle::what_was_settled_before_handover_never_comes_back", "delivery::what_is_settled_is_gone";
    /// `Settle::ByReceiver` is treated as `BeforeHandover`.
    SettledTooEarly => "settle::a_message_dropped_unsettled_comes_back", "delivery::nothing_is_lost";
    /// Settling a message of a closed listener reports success instead of `Closed`.
    SettlesAfterClose => "settle::settling_after_close_is_closed", "delivery::settling_succeeds_until_the_end";
    /// Closing a transport reports success and does nothing.
    CloseIsNothing => "close::later_operations_are_closed", "lifecycle::a_closed_transport_does_nothing";
    /// The health stays `Connecting`.
    HealthStuck => "close::a_connected_transport_becomes_ready", "lifecycle::health_follows_the_transport";
    /// A lost connection is restored without its listeners.
    ListenerLostByCut => "disturb::a_listener_misses_nothing_over_a_cut", "rpc::a_call_in_time_is_answered";
    /// After a cut, a fanout reaches no server.
    FanoutLostByCut => "disturb::a_fanout_reaches_every_server_after_a_cut", "rpc::fanout_reaches_every_subscribed_server";
    /// After a cut, redelivered messages are not marked.
    MarkLostByCut => "disturb::what_was_in_hand_comes_back_marked", "delivery::what_comes_back_says_so";
    /// After a cut, settling a message from before it reports success instead of `Disconnected`.
    SettledAfterCut => "disturb::what_was_in_hand_comes_back_marked", "delivery::settling_succeeds_until_the_end";
    /// A lost connection is restored, and receivers of its health get `Connecting` from then on.
    NeverReadyAgain => "disturb::a_transport_is_ready_again_by_itself", "lifecycle::every_bus_is_back_after_a_cut";
    /// Stopping a listener acknowledges the waiting messages and loses them.
    StopLosesAcknowledged => "listen::a_stopped_listener_acknowledges_nothing_more", "rpc::what_is_dropped_is_counted";
    /// No message has a delivery count, whatever the broker counts.
    DeliveryCountLost => "settle::what_comes_back_says_how_often_it_failed", "notify::the_sums_agree";
    undeclared [ServerAddress, Fanout, Mandatory, Expiration, Requeue, EnsureQueue, Pools]
}

/// The case that expects the refusal of `capability`.
/// Empty if no case expects it.
fn refusing(capability: Capability) -> &'static str {
    crate::cases().find(|case| case.lacks == Some(capability)).map_or("", |case| case.id)
}

/// A harness whose driver has one flaw. It forwards everything to the inner harness and wraps its transports.
#[derive(Debug)]
pub struct Flawed<H> {
    /// The harness of the driver without the flaw.
    inner: H,
    flaw: Flaw,
    /// How often the harness has cut the connections.
    losses: watch::Sender<u64>,
}

impl<H: Harness> Flawed<H> {
    /// `flaw` applies to every transport that is opened through this harness.
    #[must_use]
    pub fn new(inner: H, flaw: Flaw) -> Self {
        Self { inner, flaw, losses: watch::Sender::new(0) }
    }
}

#[async_trait]
impl<H: Harness> Harness for Flawed<H> {
    async fn transport(&self) -> Result<Arc<dyn Transport>> {
        let inner = self.inner.transport().await?;
        Ok(Arc::new(transport::FlawedTransport::new(inner, self.flaw, self.losses.subscribe())))
    }

    fn budget(&self) -> Budget {
        self.inner.budget()
    }

    fn clock(&self) -> Clock {
        self.inner.clock()
    }

    fn disturbances(&self) -> &'static [Disturbance] {
        self.inner.disturbances()
    }

    /// Counts cuts and restarts before they happen, so that no delivery after them is missed.
    async fn disturb(&self, what: Disturbance) -> std::result::Result<(), String> {
        match what {
            Disturbance::Cut | Disturbance::Restart => self.losses.send_modify(|losses| *losses += 1),
            Disturbance::Block | Disturbance::Limit | Disturbance::LimitFailures => {}
        }
        self.inner.disturb(what).await
    }

    async fn calm(&self) -> std::result::Result<(), String> {
        self.inner.calm().await
    }

    fn driver(&self) -> String {
        self.inner.driver()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flaw_names_a_case_that_exists() {
        for flaw in Flaw::ALL {
            assert!(crate::cases().any(|case| case.id == flaw.caught_by()), "{flaw:?}");
        }
    }
}
