//! One publish, from its frames to its confirm.

use std::sync::Arc;

use lapin::Confirmation;
use lapin::options::BasicPublishOptions;
use oslo_messaging::{Error, ErrorKind, Executed};

use crate::connection::channel::Channel;
use crate::publish::job::EncodedPublish;
use crate::publish::unconfirmed::Sequence;

/// What became of one publish.
pub(crate) enum Outcome {
    /// The broker cannot have the whole message.
    NotSent(lapin::Error),
    Confirmed(Confirm),
    Unknown(lapin::Error),
}

/// What the broker said of one publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirm {
    Ack,
    Nack,
    /// The channel is not in confirm mode.
    NotRequested,
}

impl From<Confirmation> for Confirm {
    fn from(confirmation: Confirmation) -> Self {
        match confirmation {
            // lapin knows of no returned message: each is taken out of the stream before.
            Confirmation::Ack(_) => Self::Ack,
            Confirmation::Nack(_) => Self::Nack,
            Confirmation::NotRequested => Self::NotRequested,
        }
    }
}

/// Up to the first await it queues the frames; the first await ends when they are written.
pub(crate) async fn publish(channel: Channel, publish: Arc<EncodedPublish>, sequence: Sequence) -> (Sequence, Outcome) {
    let options = BasicPublishOptions { mandatory: publish.mandatory, ..BasicPublishOptions::default() };
    let (exchange, key) = (publish.exchange_name.clone(), publish.routing_key.clone());
    let properties = publish.properties.clone();
    let outcome = match channel.basic_publish(exchange, key, options, &publish.body, properties).await {
        Err(error) => Outcome::NotSent(error),
        Ok(confirm) => match confirm.await {
            Ok(confirmation) => Outcome::Confirmed(confirmation.into()),
            Err(error) => Outcome::Unknown(error),
        },
    };
    (sequence, outcome)
}

/// The error of what the broker does not want to answer for.
pub(crate) fn refused(executed: Executed) -> Error {
    let refused = Error::new(ErrorKind::Refused, "publish").with_executed(executed).transient();
    refused.with("reason", "the broker rejected the message (basic.nack)")
}
