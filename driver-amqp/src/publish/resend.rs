//! Resolves the publishes of a lost channel, and selects those that are sent again.
//!
//! It runs after a channel or its connection ended, when nothing more can be learned about the unconfirmed publishes.
//! The rule: a message is sent again only if the broker certainly
//! does not have it, so an at-most-once message stays one.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use oslo_messaging::{Error, ErrorKind, Executed};

use crate::config::AmqpConfig;
use crate::errors::{translate, unknown};
use crate::link::inner::Inner;
use crate::publish::destinations::Destinations;
use crate::publish::disposition::{CloseReason, Disposition, UnconfirmedPublish, WriteState, dispositions};
use crate::publish::job::PublishJob;
use crate::publish::unconfirmed::Sequence;

/// How often a publish that did not arrive is sent again after the broker closed its channel.
/// Then it fails, transient and executed `No`.
const RESENDS: u32 = 3;
/// How long lapin may take to fail the publishes of a lost connection. It has no answer to wait for.
const CONFIRMS_AFTER_LOSS: Duration = Duration::from_secs(2);

/// The publishes that failed with their channel, and the most specific error.
#[derive(Debug)]
pub(crate) struct ChannelFailures {
    /// A publish without an entry has no outcome yet, and is taken as `WriteState::NoAnswer`.
    written: HashMap<Sequence, WriteState>,
    /// The most specific error so far; it becomes the error of the callers. `None` if no publish has failed.
    error: Option<lapin::Error>,
}

impl ChannelFailures {
    /// Of a channel whose connection is gone, before any publish of it has failed.
    ///
    /// It stays a lost connection unless an error that is added says what the broker objected to on the channel.
    pub(crate) fn of_lost_connection() -> Self {
        Self { written: HashMap::new(), error: None }
    }

    /// The first failure of a channel, with which clearing up begins.
    pub(crate) fn first(sequence: Sequence, written: WriteState, error: lapin::Error) -> Self {
        Self { written: HashMap::from([(sequence, written)]), error: Some(error) }
    }

    /// Adds a publish. The broker's text is more specific than an error about a closed channel,
    /// and its text about the channel more than that about the connection.
    pub(crate) fn add(&mut self, sequence: Sequence, written: WriteState, error: lapin::Error) {
        self.written.insert(sequence, written);
        // Tuples compare left to right: an error about the channel wins, then one with a text of the broker.
        let says = |error: &lapin::Error| (error.is_amqp_soft_error(), said(error).is_some());
        if self.error.as_ref().is_none_or(|known| says(&error) > says(known)) {
            self.error = Some(error);
        }
    }

    /// What was lost, according to the errors so far. Final only when every publish has failed:
    /// lapin refuses a publish from the moment that the broker closed the channel,
    /// and fails the earlier ones with the broker's reason only then.
    ///
    /// An error without the broker's words about the channel counts as a lost connection.
    fn loss(&self) -> LossScope {
        match &self.error {
            Some(error) if error.is_amqp_soft_error() => LossScope::Channel,
            _ => LossScope::Connection,
        }
    }

    /// How long to wait for the outcomes that are still missing.
    ///
    /// Counted from the start of clearing up. A channel gets `request_timeout`,
    /// because the broker answers channel.close; a lost connection gets 2 s.
    pub(crate) fn patience(&self, config: &AmqpConfig) -> Duration {
        match self.loss() {
            LossScope::Channel => config.request_timeout,
            LossScope::Connection => CONFIRMS_AFTER_LOSS,
        }
    }

    /// The code and the text of the error that is kept, if the broker wrote one.
    fn said(&self) -> Option<(u16, &str)> {
        self.error.as_ref().and_then(said)
    }
}

/// Decides which publishes of a lost channel are sent again, and with what the others fail.
/// It lives for one loss, and only while the publisher clears up. The publisher sends nothing meanwhile.
pub(crate) struct Resend<'a> {
    /// For whether the transport is closed, which decides the error of a message that may have arrived.
    inner: &'a Inner,
    /// Where missing exchanges are forgotten.
    destinations: &'a Destinations,
    /// The host of the channel, for errors.
    host: String,
    /// Final: every publish has failed, or its patience is over.
    failures: ChannelFailures,
    /// Read once, after the last outcome: it is final then.
    loss: LossScope,
}

/// What was lost. It decides how long to wait for outcomes, and whether resends are limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LossScope {
    /// The channel: the broker objected to something on it.
    Channel,
    /// The connection, with all its channels: nothing on it is at fault.
    Connection,
}

impl<'a> Resend<'a> {
    /// `failures` must be complete: an outcome that arrives later is not considered.
    pub(crate) fn new(
        inner: &'a Inner,
        destinations: &'a Destinations,
        host: String,
        failures: ChannelFailures,
    ) -> Self {
        Self { inner, destinations, host, loss: failures.loss(), failures }
    }

    /// Resolves every publish with a known or unknowable outcome.
    /// Returns the jobs to send again, in the order of `jobs`.
    ///
    /// `jobs` must be in the order of sending. After 3 resends a publish that the broker keeps refusing fails,
    /// transient and executed `No`; publishes of a lost connection are resent without that limit.
    /// If an exchange is missing, it is forgotten, so that the resent publish declares it first.
    ///
    /// The abandon flag is released exactly where the error, if any, says executed `No`.
    /// A caller that gives up then reports `No` as well.
    pub(crate) fn select(&self, jobs: Vec<(Sequence, PublishJob)>) -> VecDeque<PublishJob> {
        let reason = match (self.loss, self.failures.said()) {
            (LossScope::Channel, Some((code, text))) => CloseReason::read(code, text),
            _ => CloseReason::Unattributed,
        };
        let unconfirmed = |(sequence, job): &'_ (Sequence, PublishJob)| {
            let written = self.failures.written.get(sequence).copied().unwrap_or(WriteState::NoAnswer);
            (job.publish.exchange.clone(), job.publish.message.body.len(), written)
        };
        let unconfirmed: Vec<_> = jobs.iter().map(unconfirmed).collect();
        let unconfirmed: Vec<_> = unconfirmed
            .iter()
            .map(|(exchange, bytes, written)| UnconfirmedPublish { exchange, bytes: *bytes, written: *written })
            .collect();
        let dispositions = dispositions(reason, &unconfirmed);
        let missing = matches!(reason, CloseReason::MissingExchange(_));
        let mut again = VecDeque::new();
        // `jobs` and `dispositions` have the same order and length.
        for ((_, mut job), disposition) in jobs.into_iter().zip(dispositions) {
            let error = match disposition {
                Disposition::Resend if job.attempts <= RESENDS || self.loss == LossScope::Connection => None,
                Disposition::Resend => Some(self.refusal(&job, Executed::No).transient()),
                Disposition::Refused(executed) => Some(self.refusal(&job, executed)),
                Disposition::MaybeDelivered => Some(self.lost()),
            };
            if missing {
                self.destinations.forget_exchange(&job.publish.exchange.name);
            }
            if error.as_ref().is_none_or(|error| error.executed() == Executed::No) {
                job.abandon_flag.mark_released();
            }
            if let Some(error) = error {
                // The receiver is gone if the caller has given up. Its abandon flag has the answer then.
                drop(job.result.send(Err(error.with_context("host", &self.host))));
                continue;
            }
            if missing {
                // The publisher declares the exchange again, on the link that is current then.
                job.declared = 0;
            }
            again.push_back(job);
        }
        again
    }

    /// The exchange and the size are in its context, because the broker's text names one of them.
    fn refusal(&self, job: &PublishJob, executed: Executed) -> Error {
        let error = match &self.failures.error {
            Some(error) => translate("publish", error),
            None => Error::new(ErrorKind::Disconnected, "publish").transient(),
        };
        error
            .with_executed(executed)
            .with_context("exchange", &job.publish.exchange.name)
            .with_context("bytes", job.publish.message.body.len())
    }

    /// The error of a message that may have arrived, so only its caller can decide whether to send it again.
    ///
    /// `Closed` if the transport is closed, otherwise `Disconnected`,
    /// or the broker's own error for a closed channel. In every case executed is `Maybe`.
    fn lost(&self) -> Error {
        let gone = Error::new(ErrorKind::Disconnected, "publish").with_executed(Executed::Maybe).transient();
        match (self.loss, self.inner.current.check_open("publish"), &self.failures.error) {
            (_, Err(closed), _) => closed.with_executed(Executed::Maybe),
            (LossScope::Channel, _, Some(error)) => unknown("publish", error).transient(),
            (_, _, Some(error)) => gone.with_context("reason", error),
            (_, _, None) => gone.with_context("reason", "the connection is closed"),
        }
    }
}

/// The code and text that the broker sent, if the error has them.
fn said(error: &lapin::Error) -> Option<(u16, &str)> {
    match error.kind() {
        lapin::ErrorKind::ProtocolError(error) => Some((error.get_id(), error.get_message().as_str())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lapin::protocol::{AMQPError, AMQPHardError, AMQPSoftError};
    use lapin::{ChannelState, ErrorKind as Lapin};

    use super::*;

    fn missing() -> lapin::Error {
        let text = "NOT_FOUND - no exchange 'e' in vhost '/'";
        Lapin::ProtocolError(AMQPError::new(AMQPSoftError::NOTFOUND.into(), text.into())).into()
    }

    fn refused(state: ChannelState) -> lapin::Error {
        Lapin::InvalidChannelState(state, "basic.publish").into()
    }

    #[test]
    fn a_publish_that_finds_its_channel_closed_before_the_broker_s_words_are_read_makes_no_lost_connection_of_it() {
        let mut failures = ChannelFailures::first(3, WriteState::NotWritten, refused(ChannelState::Closing));
        failures.add(1, WriteState::Written, missing());
        failures.add(2, WriteState::Written, missing());
        assert_eq!((failures.loss(), failures.said().map(|(code, _)| code)), (LossScope::Channel, Some(404)));
    }

    #[test]
    fn what_the_broker_said_of_the_channel_stays_true_when_the_connection_goes_too() {
        let gone = AMQPError::new(AMQPHardError::CHANNELERROR.into(), "CHANNEL_ERROR".into());
        let gone = lapin::Error::from(Lapin::ProtocolError(gone));
        for (first, second) in [(missing(), gone.clone()), (gone, missing())] {
            let mut failures = ChannelFailures::first(1, WriteState::Written, first);
            failures.add(2, WriteState::NotWritten, second);
            assert_eq!((failures.loss(), failures.said().map(|(code, _)| code)), (LossScope::Channel, Some(404)));
        }
    }

    #[test]
    fn without_a_word_of_the_broker_about_the_channel_it_is_the_connection() {
        assert_eq!(ChannelFailures::of_lost_connection().loss(), LossScope::Connection);
        let failures = ChannelFailures::first(1, WriteState::NotWritten, refused(ChannelState::Error));
        assert_eq!(failures.loss(), LossScope::Connection);
    }
}
