//! Tells the publishers whose channel is gone what is known of their messages, and keeps what is to be sent again.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use oslo_messaging::{Error, ErrorKind, Executed};

use crate::config::AmqpConfig;
use crate::errors::{translate, unknown};
use crate::link::inner::Inner;
use crate::publish::channel_closed::{Objection, Out, Sent, Verdict, verdicts};
use crate::publish::destinations::Declared;
use crate::publish::job::Job;
use crate::publish::unconfirmed::Sequence;

/// How often a publish that certainly did not arrive is sent again by its lane.
const RESENDS: u32 = 3;
/// How long lapin may take to end what was out on a connection that is gone: it has nothing to wait for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The publishes that failed with their channel, and the error that says most about it.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    sent: HashMap<Sequence, Sent>,
    error: Option<lapin::Error>,
}

impl Failures {
    pub(crate) fn first(sequence: Sequence, sent: Sent, error: lapin::Error) -> Self {
        Self { sent: HashMap::from([(sequence, sent)]), error: Some(error) }
    }

    /// Adds another publish. The broker's own words say more than that the channel is not there any more, and most of all
    /// those about the channel.
    pub(crate) fn add(&mut self, sequence: Sequence, sent: Sent, error: lapin::Error) {
        self.sent.insert(sequence, sent);
        let says = |error: &lapin::Error| (error.is_amqp_soft_error(), said(error).is_some());
        if self.error.as_ref().is_none_or(|known| says(&error) > says(known)) {
            self.error = Some(error);
        }
    }

    /// What was lost, as far as anybody has said. Not to be settled before everybody was heard: lapin refuses a publish on a
    /// channel from the moment that the broker has closed it, and only then fails the others with what the broker said.
    fn loss(&self) -> Loss {
        match &self.error {
            Some(error) if error.is_amqp_soft_error() => Loss::Channel,
            _ => Loss::Connection,
        }
    }

    /// How long to wait for those who have not been heard.
    pub(crate) fn patience(&self, config: &AmqpConfig) -> Duration {
        match self.loss() {
            Loss::Channel => config.request_timeout,
            Loss::Connection => LAST_WORDS,
        }
    }

    fn said(&self) -> Option<(u16, &str)> {
        self.error.as_ref().and_then(said)
    }
}

/// Sorts what was out on a channel that is gone.
pub(crate) struct Salvage<'a> {
    inner: &'a Inner,
    destinations: &'a Declared,
    /// The broker that the channel was of.
    host: String,
    failures: Failures,
    loss: Loss,
}

/// What was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// The channel alone: the broker objected to something on it.
    Channel,
    /// The connection, and the channel with it.
    Connection,
}

impl<'a> Salvage<'a> {
    pub(crate) fn new(inner: &'a Inner, destinations: &'a Declared, host: String, failures: Failures) -> Self {
        Self { inner, destinations, host, loss: failures.loss(), failures }
    }

    /// Tells everybody whose message has a fate; returns what is to be sent again, in the order of `jobs`.
    pub(crate) fn sort(&self, jobs: Vec<(Sequence, Job)>) -> VecDeque<Job> {
        let objection = match (self.loss, self.failures.said()) {
            (Loss::Channel, Some((code, text))) => Objection::read(code, text),
            _ => Objection::Other,
        };
        let out = |(sequence, job): &'_ (Sequence, Job)| {
            let sent = self.failures.sent.get(sequence).copied().unwrap_or(Sent::Unheard);
            (job.parcel.exchange.clone(), job.parcel.body.len(), sent)
        };
        let outs: Vec<_> = jobs.iter().map(out).collect();
        let outs: Vec<_> =
            outs.iter().map(|(exchange, bytes, sent)| Out { exchange, bytes: *bytes, sent: *sent }).collect();
        let verdicts = verdicts(objection, &outs);
        let missing = matches!(objection, Objection::Missing(_));
        let mut again = VecDeque::new();
        for ((_, mut job), verdict) in jobs.into_iter().zip(verdicts) {
            let refusal = match verdict {
                Verdict::Again if job.sends <= RESENDS || self.loss == Loss::Connection => None,
                Verdict::Again => Some(self.refusal(&job, Executed::No).transient()),
                Verdict::Refused(executed) => Some(self.refusal(&job, executed)),
                Verdict::Unknown => Some(self.lost()),
            };
            if missing {
                self.destinations.forget_exchange(&job.parcel.exchange.name);
            }
            if refusal.as_ref().is_none_or(|error| error.executed() == Executed::No) {
                job.ticket.give_back();
            }
            if let Some(error) = refusal {
                drop(job.fate.send(Err(error.with("host", &self.host))));
                continue;
            }
            if missing {
                // The lane declares it again, on whatever link there is then.
                job.declared = 0;
            }
            again.push_back(job);
        }
        again
    }

    fn refusal(&self, job: &Job, executed: Executed) -> Error {
        let error = match &self.failures.error {
            Some(error) => translate("publish", error),
            None => Error::new(ErrorKind::Disconnected, "publish").transient(),
        };
        error.with_executed(executed).with("exchange", &job.parcel.exchange.name).with("bytes", job.parcel.body.len())
    }

    /// The error of a message that may have arrived.
    fn lost(&self) -> Error {
        let gone = Error::new(ErrorKind::Disconnected, "publish").with_executed(Executed::Maybe).transient();
        match (self.loss, self.inner.current.check("publish"), &self.failures.error) {
            (_, Err(closed), _) => closed.with_executed(Executed::Maybe),
            (Loss::Channel, _, Some(error)) => unknown("publish", error).transient(),
            (_, _, Some(error)) => gone.with("reason", error),
            (_, _, None) => gone.with("reason", "the connection is gone"),
        }
    }
}

/// The broker's own words.
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
        let mut failures = Failures::first(3, Sent::Never, refused(ChannelState::Closing));
        failures.add(1, Sent::Unknown, missing());
        failures.add(2, Sent::Unknown, missing());
        assert_eq!((failures.loss(), failures.said().map(|(code, _)| code)), (Loss::Channel, Some(404)));
    }

    #[test]
    fn what_the_broker_said_of_the_channel_stays_true_when_the_connection_goes_too() {
        let gone = AMQPError::new(AMQPHardError::CHANNELERROR.into(), "CHANNEL_ERROR".into());
        let gone = lapin::Error::from(Lapin::ProtocolError(gone));
        for (first, second) in [(missing(), gone.clone()), (gone, missing())] {
            let mut failures = Failures::first(1, Sent::Unknown, first);
            failures.add(2, Sent::Never, second);
            assert_eq!((failures.loss(), failures.said().map(|(code, _)| code)), (Loss::Channel, Some(404)));
        }
    }

    #[test]
    fn without_a_word_of_the_broker_about_the_channel_it_is_the_connection() {
        assert_eq!(Failures::default().loss(), Loss::Connection);
        let failures = Failures::first(1, Sent::Never, refused(ChannelState::Error));
        assert_eq!(failures.loss(), Loss::Connection);
    }
}
