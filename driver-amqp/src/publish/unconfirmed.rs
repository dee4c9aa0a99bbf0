//! The unconfirmed publishes of one channel, by the number that a confirm or a loss refers to.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::publish::checked_publish::CheckedPublish;
use crate::publish::job::PublishJob;

/// The number of a publish on its channel, from 1.
/// lapin numbers the same way, and so does the delivery tag of the broker's confirms.
pub(crate) type Sequence = u64;

/// The unconfirmed publishes of one channel, in the order of sending, each with the time of it. Owned by the publisher.
/// An entry lives from the send to the outcome, whatever the caller does.
#[derive(Default)]
pub(crate) struct Unconfirmed {
    /// The number of the last publish on this channel.
    issued: Sequence,
    /// Ordered, so that the first entry is the oldest and a resend keeps the order.
    jobs: BTreeMap<Sequence, (PublishJob, Instant)>,
}

impl Unconfirmed {
    /// Adds a publish that is sent `now`; returns its number.
    /// To be called before lapin gets the message, so that an early outcome finds its job.
    pub(crate) fn add(&mut self, job: PublishJob, now: Instant) -> Sequence {
        self.issued += 1;
        self.jobs.insert(self.issued, (job, now));
        self.issued
    }

    /// Removes a publish whose outcome is known. `None` if it was resolved before, for example by a return.
    pub(crate) fn remove(&mut self, sequence: Sequence) -> Option<PublishJob> {
        self.jobs.remove(&sequence).map(|(job, _)| job)
    }

    /// Removes all publishes, and starts to number from 1 again, for a new channel.
    /// The caller resolves each of them, or sends it again.
    pub(crate) fn take(&mut self) -> Vec<(Sequence, PublishJob)> {
        let Self { jobs, .. } = std::mem::take(self);
        jobs.into_iter().map(|(sequence, (job, _))| (sequence, job)).collect()
    }

    /// `None` if it was resolved before its confirm arrived, that is, returned.
    pub(crate) fn get(&self, sequence: Sequence) -> Option<&PublishJob> {
        self.jobs.get(&sequence).map(|(job, _)| job)
    }

    /// The first mandatory publish with this message id: a returned message is matched by its id.
    ///
    /// `None` for a message that is not mandatory, or was resolved.
    /// Two publishes have one id only if the second is sent again to the same address;
    /// the broker handles a channel in order, so the first of them is returned first.
    ///
    /// Looks from the oldest on, since a returned message is near the front.
    /// An index by id would cost each publish three allocations, for a return that is rare.
    pub(crate) fn named(&self, id: &str) -> Option<(Sequence, &Arc<CheckedPublish>)> {
        let mut jobs = self.jobs.iter().map(|(sequence, (job, _))| (*sequence, &job.publish));
        jobs.find(|(_, publish)| publish.mandatory && publish.message.id == id)
    }

    /// When the oldest unconfirmed publish was sent; `None` if nothing is unconfirmed.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.jobs.first_key_value().map(|(_, (_, sent))| *sent)
    }

    /// Compared with the window. A returned message leaves before its confirm arrives.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }
}
