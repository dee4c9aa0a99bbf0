//! Tells the publishers whose channel is gone what is known of their messages, and keeps what is to be sent again.

use std::collections::{HashMap, VecDeque};

use oslo_messaging::{Deadline, Error, ErrorKind, Executed};

use crate::barrier::Sequence;
use crate::errors::{translate, unknown};
use crate::lane::Shared;
use crate::parcel::Job;
use crate::wreck::{Objection, Out, Sent, Verdict, verdicts};

/// How often a publish that certainly did not arrive is sent again by its lane.
const RESENDS: u32 = 3;

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

    /// Adds another publish; the broker's own words say more than that the channel is not there any more.
    pub(crate) fn add(&mut self, sequence: Sequence, sent: Sent, error: lapin::Error) {
        self.sent.insert(sequence, sent);
        if self.error.is_none() || (self.said().is_none() && said(&error).is_some()) {
            self.error = Some(error);
        }
    }

    /// Whether the broker has closed the channel, rather than the connection.
    pub(crate) fn are_of_channel(&self) -> bool {
        self.error.as_ref().is_some_and(lapin::Error::is_amqp_soft_error)
    }

    fn said(&self) -> Option<(u16, &str)> {
        self.error.as_ref().and_then(said)
    }
}

/// Sorts what was out on a channel that is gone.
pub(crate) struct Salvage<'a> {
    shared: &'a Shared,
    failures: Failures,
    loss: Loss,
}

/// What was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The channel alone: the broker objected to something on it.
    Channel,
    /// The connection, and the channel with it.
    Connection,
}

impl<'a> Salvage<'a> {
    pub(crate) fn new(shared: &'a Shared, failures: Failures, loss: Loss) -> Self {
        Self { shared, failures, loss }
    }

    /// Tells everybody whose message has a fate; returns what is to be sent again, in the order of `jobs`.
    pub(crate) async fn sort(&self, jobs: Vec<(Sequence, Job)>) -> VecDeque<Job> {
        let objection = match (self.loss, self.failures.said()) {
            (Loss::Channel, Some((code, text))) => Objection::read(code, text),
            _ => Objection::Other,
        };
        let out = |(sequence, job): &'_ (Sequence, Job)| {
            // What did not fail was confirmed, and held because its return might still have come.
            let sent = self.failures.sent.get(sequence).copied().unwrap_or(Sent::Confirmed);
            (job.parcel.exchange.clone(), job.parcel.body.len(), sent)
        };
        let outs: Vec<_> = jobs.iter().map(out).collect();
        let outs: Vec<_> =
            outs.iter().map(|(exchange, bytes, sent)| Out { exchange, bytes: *bytes, sent: *sent }).collect();
        let verdicts = verdicts(objection, &outs);
        let missing = matches!(objection, Objection::Missing(_));
        let mut again = VecDeque::new();
        for ((_, job), verdict) in jobs.into_iter().zip(verdicts) {
            let refusal = match verdict {
                Verdict::Again if job.sends <= RESENDS || self.loss == Loss::Connection => None,
                Verdict::Again => Some(self.refusal(&job, Executed::No).transient()),
                Verdict::Refused(executed) => Some(self.refusal(&job, executed)),
                Verdict::Unknown => Some(self.lost()),
            };
            if missing {
                self.shared.declared.forget_exchange(&job.parcel.exchange.name);
            }
            if refusal.as_ref().is_none_or(|error| error.executed() == Executed::No) {
                job.ticket.give_back();
            }
            match refusal {
                Some(error) => drop(job.fate.send(Err(error))),
                None => again.push_back(job),
            }
        }
        if missing { self.declare(again).await } else { again }
    }

    /// Declares again what `jobs` need, since something of it was gone; whose needs cannot be met is told.
    async fn declare(&self, jobs: VecDeque<Job>) -> VecDeque<Job> {
        let deadline = Deadline::after(self.shared.config.request_timeout);
        let mut kept = VecDeque::new();
        for mut job in jobs {
            match self.shared.declared.ensure(&job.parcel.needs, deadline).await {
                Ok(declared) => {
                    job.declared = declared;
                    kept.push_back(job);
                }
                Err(error) => drop(job.fate.send(Err(error))),
            }
        }
        kept
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
        match (self.loss, self.shared.gate.check("publish"), &self.failures.error) {
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
