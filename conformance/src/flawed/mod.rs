//! Drivers with one defect each: every one must be caught, so that the suite itself is under test.

mod listener;
mod losses;
mod transport;

use std::sync::Arc;

use async_trait::async_trait;
use oslo_messaging::{Capability, Result, Transport};
use tokio::sync::watch;

use crate::{Budget, Clock, Disturbance, Harness};

/// A defect that somebody once shipped, or nearly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// A publish is done twice.
    PublishedTwice,
    /// Every fifth publish is confirmed and thrown away.
    LostInSilence,
    /// Two neighbouring publishes change places.
    OutOfOrder,
    /// A message to one server goes to any server of its topic.
    ServerIgnored,
    /// Every exchange is the same one.
    ExchangeIgnored,
    /// A listener hears every priority.
    PriorityIgnored,
    /// A fanout stays within the exchange it was not given: it goes nowhere.
    FanoutLost,
    /// A fanout reaches one server, the last that was started.
    FanoutReachesOne,
    /// A message that no queue is bound for is thrown away, mandatory or not.
    MandatoryIgnored,
    /// Every message needs a queue that is bound, mandatory or not.
    MandatoryAlways,
    /// A return is told to whoever publishes next.
    ReturnCrossed,
    /// A reply goes to whoever was answered before.
    ReplyCrossed,
    /// What is sent to a queue by name is thrown away unless it is an inbox.
    DirectReachesInboxesAlone,
    /// Headers stay behind.
    HeadersLost,
    /// The value of a header ends after 255 bytes.
    LongHeaderCut,
    /// A body loses the bytes that are not text.
    BodyMangled,
    /// A body ends after half a megabyte.
    LongBodyCut,
    /// A name ends after 255 bytes.
    LongNameCut,
    /// Messages live for ever.
    ExpirationIgnored,
    /// A time to live is taken for seconds, though it is in milliseconds.
    ExpirationInSeconds,
    /// Requests live for ever, whatever else expires.
    RequestsNeverExpire,
    /// Messages that have a life lose it at once.
    ExpiresAtOnce,
    /// The queue of a notification is not made before somebody listens.
    QueueNotEnsured,
    /// Members of a pool read the shared queue instead.
    PoolIgnored,
    /// Each member of a pool has a copy of its own.
    PoolNotShared,
    /// A deadline that passed is not looked at.
    DeadlineIgnored,
    /// A subscription returns before its queues exist.
    SubscribesLate,
    /// A poll gives more than it was asked for.
    PollOverflows,
    /// What a poll took is lost if it is cancelled.
    CancelledPollLoses,
    /// The window is a hundred times as wide.
    WindowIgnored,
    /// A stopped listener never ends.
    StopNeverEnds,
    /// A stopped listener goes on acknowledging what it was handed over before.
    StopTakesTheRest,
    /// A dropped listener goes on consuming.
    DroppedGoesOn,
    /// Closing a listener leaves its private queue behind.
    CloseLeavesQueue,
    /// Closing one listener ends every listener of its transport.
    CloseEndsNeighbours,
    /// Whoever waits for a message is not told that the transport was closed.
    ClosedPollHangs,
    /// What was acknowledged comes back.
    AcknowledgedComesBack,
    /// What was rejected comes back.
    RejectedComesBack,
    /// What was requeued is dropped.
    RequeueDrops,
    /// What was dropped unsettled stays out.
    DroppedStaysOut,
    /// A message that comes back looks new.
    RedeliveredFlagLost,
    /// Every message looks as if it came back.
    RedeliveredAlways,
    /// What is to be settled before handover is left to its receiver.
    HandedOverUnsettled,
    /// What is left to its receiver is settled before handover.
    SettledTooEarly,
    /// Settling after the end succeeds.
    SettlesAfterClose,
    /// A closed transport goes on working.
    CloseIsNothing,
    /// The state is never told.
    HealthStuck,
    /// A connection that is lost is made again, and its listeners are not.
    ListenerLostByCut,
    /// What is sent to every server goes nowhere once the connection was lost.
    FanoutLostByCut,
    /// Once connections were lost, nothing that comes again says so.
    MarkLostByCut,
    /// What was in hand when connections were lost is settled as if they were there.
    SettledAfterCut,
    /// A connection that is lost is made again, and its state goes on saying that it is not.
    NeverReadyAgain,
    /// A listener that is stopped acknowledges what waits, and loses it.
    StopLosesAcknowledged,
    /// A message that comes back does not say how often its delivery failed.
    DeliveryCountLost,
    /// The driver does what it does not declare.
    Undeclared(Capability),
}

impl Flaw {
    /// Every flaw.
    pub const ALL: &'static [Self] = &[
        Self::PublishedTwice,
        Self::LostInSilence,
        Self::OutOfOrder,
        Self::ServerIgnored,
        Self::ExchangeIgnored,
        Self::PriorityIgnored,
        Self::FanoutLost,
        Self::FanoutReachesOne,
        Self::MandatoryIgnored,
        Self::MandatoryAlways,
        Self::ReturnCrossed,
        Self::ReplyCrossed,
        Self::DirectReachesInboxesAlone,
        Self::HeadersLost,
        Self::LongHeaderCut,
        Self::BodyMangled,
        Self::LongBodyCut,
        Self::LongNameCut,
        Self::ExpirationIgnored,
        Self::ExpirationInSeconds,
        Self::RequestsNeverExpire,
        Self::ExpiresAtOnce,
        Self::QueueNotEnsured,
        Self::PoolIgnored,
        Self::PoolNotShared,
        Self::DeadlineIgnored,
        Self::SubscribesLate,
        Self::PollOverflows,
        Self::CancelledPollLoses,
        Self::WindowIgnored,
        Self::StopNeverEnds,
        Self::StopTakesTheRest,
        Self::DroppedGoesOn,
        Self::CloseLeavesQueue,
        Self::CloseEndsNeighbours,
        Self::ClosedPollHangs,
        Self::AcknowledgedComesBack,
        Self::RejectedComesBack,
        Self::RequeueDrops,
        Self::DroppedStaysOut,
        Self::RedeliveredFlagLost,
        Self::RedeliveredAlways,
        Self::HandedOverUnsettled,
        Self::SettledTooEarly,
        Self::SettlesAfterClose,
        Self::CloseIsNothing,
        Self::HealthStuck,
        Self::ListenerLostByCut,
        Self::FanoutLostByCut,
        Self::MarkLostByCut,
        Self::SettledAfterCut,
        Self::NeverReadyAgain,
        Self::StopLosesAcknowledged,
        Self::DeliveryCountLost,
        Self::Undeclared(Capability::ServerAddress),
        Self::Undeclared(Capability::Fanout),
        Self::Undeclared(Capability::Mandatory),
        Self::Undeclared(Capability::Expiration),
        Self::Undeclared(Capability::Requeue),
        Self::Undeclared(Capability::EnsureQueue),
        Self::Undeclared(Capability::Pools),
    ];

    /// The id of the case that must catch it; others may too.
    #[must_use]
    pub fn caught_by(self) -> &'static str {
        match self {
            Self::PublishedTwice => "address::a_topic_reaches_one_of_its_servers",
            Self::LostInSilence | Self::OutOfOrder => "publish::order_holds_from_one_publisher_to_one_address",
            Self::ServerIgnored => "address::a_server_is_reached_alone",
            Self::ExchangeIgnored => "address::exchanges_keep_topics_apart",
            Self::PriorityIgnored => "notification::a_listener_hears_its_topics_and_priorities_alone",
            Self::FanoutLost | Self::FanoutReachesOne => "address::a_fanout_reaches_every_server_of_every_exchange",
            Self::MandatoryIgnored => "publish::mandatory_to_nobody_is_undeliverable",
            Self::MandatoryAlways => "publish::to_nobody_succeeds_without_mandatory",
            Self::ReturnCrossed => "publish::a_return_is_told_to_its_own_publisher",
            Self::HeadersLost | Self::BodyMangled | Self::RedeliveredAlways => {
                "publish::what_is_sent_arrives_unchanged"
            }
            Self::ExpirationIgnored | Self::ExpirationInSeconds => "retention::an_expired_message_is_dropped",
            Self::ExpiresAtOnce => "retention::a_message_is_not_dropped_before_it_expires",
            Self::QueueNotEnsured => "notification::it_is_kept_before_anyone_listens",
            Self::PoolIgnored | Self::PoolNotShared => "notification::every_pool_gets_a_copy_that_its_members_share",
            Self::DeadlineIgnored => "publish::a_deadline_that_passed_is_a_timeout",
            Self::PollOverflows => "listen::a_poll_takes_no_more_than_its_maximum",
            Self::CancelledPollLoses => "listen::a_cancelled_poll_loses_nothing",
            Self::WindowIgnored => "listen::the_window_bounds_what_is_unsettled",
            Self::StopNeverEnds => "listen::a_stopped_listener_is_drained_and_ends",
            Self::StopTakesTheRest | Self::StopLosesAcknowledged => {
                "listen::a_stopped_listener_acknowledges_nothing_more"
            }
            Self::DroppedGoesOn => "listen::a_dropped_listener_stops_consuming",
            Self::CloseLeavesQueue => "retention::a_private_queue_goes_with_its_listener",
            Self::AcknowledgedComesBack => "settle::an_acknowledged_message_is_gone",
            Self::RejectedComesBack => "settle::a_rejected_message_is_gone",
            Self::RequeueDrops => "settle::a_requeued_message_comes_back",
            Self::DroppedStaysOut | Self::SettledTooEarly => "settle::a_message_dropped_unsettled_comes_back",
            Self::RedeliveredFlagLost => "settle::what_comes_back_says_so",
            Self::HandedOverUnsettled => "settle::what_was_settled_before_handover_never_comes_back",
            Self::SettlesAfterClose => "settle::settling_after_close_is_closed",
            Self::CloseIsNothing => "close::later_operations_are_closed",
            Self::HealthStuck => "close::a_connected_transport_becomes_ready",
            Self::ReplyCrossed => "rpc_reply::they_reach_their_own_callers",
            Self::DirectReachesInboxesAlone => "neighbours::a_queue_is_reached_past_its_exchange",
            Self::LongBodyCut => "limits::a_megabyte_arrives_whole",
            Self::LongHeaderCut => "limits::headers_of_every_length_arrive",
            Self::LongNameCut => "limits::a_longer_name_is_too_large_and_never_cut",
            Self::RequestsNeverExpire => "rpc_time::a_call_that_expired_in_its_queue_never_runs",
            Self::SubscribesLate => "publish::mandatory_to_somebody_succeeds_as_soon_as_subscribe_returned",
            Self::CloseEndsNeighbours => "neighbours::a_listener_ends_without_the_other",
            Self::ClosedPollHangs => "close::an_open_listener_ends_with_its_transport",
            Self::ListenerLostByCut => "disturb::a_listener_misses_nothing_over_a_cut",
            Self::FanoutLostByCut => "disturb::a_fanout_reaches_every_server_after_a_cut",
            Self::MarkLostByCut | Self::SettledAfterCut => "disturb::what_was_in_hand_comes_back_marked",
            Self::NeverReadyAgain => "disturb::a_transport_is_ready_again_by_itself",
            Self::DeliveryCountLost => "settle::what_comes_back_says_how_often_it_failed",
            Self::Undeclared(capability) => refusing(capability),
        }
    }
}

fn refusing(capability: Capability) -> &'static str {
    crate::cases().find(|case| case.lacks == Some(capability)).map_or("", |case| case.id)
}

/// A harness whose driver has one flaw.
#[derive(Debug)]
pub struct Flawed<H> {
    inner: H,
    flaw: Flaw,
    /// How often connections were lost.
    losses: watch::Sender<u64>,
}

impl<H: Harness> Flawed<H> {
    /// Gives the driver of `inner` one flaw.
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
