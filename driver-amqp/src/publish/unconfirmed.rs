//! The unconfirmed publishes of one channel.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use crate::publish::job::{EncodedPublish, PublishJob};

/// The position of a publish in its channel.
pub(crate) type Sequence = u64;

/// What is out, in the order it was sent in, and when that was.
#[derive(Default)]
pub(crate) struct Unconfirmed {
    issued: Sequence,
    jobs: BTreeMap<Sequence, (PublishJob, Instant)>,
    /// The mandatory ones. An id comes twice if a message is sent again while its first publish is still out.
    by_id: HashMap<String, VecDeque<Sequence>>,
}

impl Unconfirmed {
    /// Adds a publish that is sent `now`, and numbers it.
    pub(crate) fn add(&mut self, job: PublishJob, now: Instant) -> Sequence {
        self.issued += 1;
        let sequence = self.issued;
        if job.publish.mandatory {
            self.by_id.entry(job.publish.id.clone()).or_default().push_back(sequence);
        }
        self.jobs.insert(sequence, (job, now));
        sequence
    }

    /// Takes out one whose fate is known now.
    pub(crate) fn remove(&mut self, sequence: Sequence) -> Option<PublishJob> {
        let (job, _) = self.jobs.remove(&sequence)?;
        if job.publish.mandatory
            && let Some(sequences) = self.by_id.get_mut(&job.publish.id)
        {
            sequences.retain(|open| *open != sequence);
            if sequences.is_empty() {
                self.by_id.remove(&job.publish.id);
            }
        }
        Some(job)
    }

    /// Takes out all of them, and begins to count from one again.
    pub(crate) fn take(&mut self) -> Vec<(Sequence, PublishJob)> {
        let Self { jobs, .. } = std::mem::take(self);
        jobs.into_iter().map(|(sequence, (job, _))| (sequence, job)).collect()
    }

    pub(crate) fn get(&self, sequence: Sequence) -> Option<&PublishJob> {
        self.jobs.get(&sequence).map(|(job, _)| job)
    }

    /// The first mandatory one whose message has that id.
    pub(crate) fn named(&self, id: &str) -> Option<(Sequence, &Arc<EncodedPublish>)> {
        let sequence = *self.by_id.get(id)?.front()?;
        Some((sequence, &self.get(sequence)?.publish))
    }

    /// When the one was sent that has been out for longest.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.jobs.first_key_value().map(|(_, (_, sent))| *sent)
    }

    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }
}
