//! Sends one message, waits for its confirm, and separates what was not written from what may have arrived.

use std::sync::Arc;

use lapin::Confirmation;
use lapin::options::BasicPublishOptions;
use oslo_messaging::{Error, ErrorKind, Executed};

use crate::connection::channel::Channel;
use crate::properties;
use crate::publish::checked_publish::CheckedPublish;
use crate::publish::unconfirmed::Sequence;

/// What lapin reported of one publish, which decides whether it may be sent again.
pub(crate) enum Outcome {
    /// The broker cannot have the whole message. lapin resolves the outer future only
    /// when the socket has accepted the last byte, so an error of it is definite.
    NotWritten(lapin::Error),
    /// The broker answered. Even a nack is definite only for some queues, see `if_refused`.
    Confirmed(Confirm),
    /// The message was written, and the channel or connection ended before its confirm. The broker may have it.
    Written(lapin::Error),
}

/// The broker's answer to one publish. Nothing else proves that it has the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirm {
    /// Every queue that the message was routed to has taken it; none, if it was returned.
    Ack,
    /// The queue is full, has no leader, or its process died. The broker gives no reason.
    Nack,
    /// The channel is not in confirm mode. Not expected: a publisher selects it before its first publish.
    NotRequested,
}

impl From<Confirmation> for Confirm {
    /// Without a wildcard, so a new result of lapin must be placed here.
    fn from(confirmation: Confirmation) -> Self {
        match confirmation {
            // lapin never sees a returned message: the frame reader removes each from the stream.
            Confirmation::Ack(_) => Self::Ack,
            Confirmation::Nack(_) => Self::Nack,
            Confirmation::NotRequested => Self::NotRequested,
        }
    }
}

/// Publishes one message. The first poll queues its frames;
/// the first await ends when they are written, and the future when the confirm arrives.
///
/// After a cancellation, queued frames are still sent, and lapin keeps the confirm until its channel ends.
/// So the publisher never drops it while the channel lives.
pub(crate) async fn send_and_await_confirm(
    channel: Channel,
    publish: Arc<CheckedPublish>,
    sequence: Sequence,
) -> (Sequence, Outcome) {
    let options = BasicPublishOptions { mandatory: publish.mandatory, ..BasicPublishOptions::default() };
    let (exchange, key) = (publish.exchange.name.as_str().into(), publish.routing_key.as_str().into());
    let properties = properties::of(&publish.message, publish.persistent);
    let outcome = match channel.basic_publish(exchange, key, options, &publish.message.body, properties).await {
        Err(error) => Outcome::NotWritten(error),
        Ok(confirm) => match confirm.await {
            Ok(confirmation) => Outcome::Confirmed(confirmation.into()),
            Err(error) => Outcome::Written(error),
        },
    };
    (sequence, outcome)
}

/// The error of a publish that the broker refused with basic.nack.
/// Transient: an election ends, and a full queue is read.
/// `executed` depends on the kind of queue, see `if_refused`.
pub(crate) fn refused(executed: Executed) -> Error {
    let refused = Error::new(ErrorKind::Refused, "publish").with_executed(executed).transient();
    refused.with_context("reason", "the broker rejected the message (basic.nack)")
}
