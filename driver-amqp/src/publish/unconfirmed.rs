//! The unconfirmed publishes of one channel.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use crate::publish::job::{Job, Parcel};

/// The position of a publish in its channel.
pub(crate) type Sequence = u64;

/// What is out, in the order it was sent in, and when that was.
#[derive(Default)]
pub(crate) struct Outstanding {
    issued: Sequence,
    jobs: BTreeMap<Sequence, (Job, Instant)>,
    /// The mandatory ones. An id comes twice if a message is sent again while its first publish is still out.
    by_id: HashMap<String, VecDeque<Sequence>>,
}

impl Outstanding {
    /// Adds a publish that is sent `now`, and numbers it.
    pub(crate) fn add(&mut self, job: Job, now: Instant) -> Sequence {
        self.issued += 1;
        let sequence = self.issued;
        if job.parcel.mandatory {
            self.by_id.entry(job.parcel.id.clone()).or_default().push_back(sequence);
        }
        self.jobs.insert(sequence, (job, now));
        sequence
    }

    /// Takes out one whose fate is known now.
    pub(crate) fn remove(&mut self, sequence: Sequence) -> Option<Job> {
        let (job, _) = self.jobs.remove(&sequence)?;
        if job.parcel.mandatory
            && let Some(sequences) = self.by_id.get_mut(&job.parcel.id)
        {
            sequences.retain(|open| *open != sequence);
            if sequences.is_empty() {
                self.by_id.remove(&job.parcel.id);
            }
        }
        Some(job)
    }

    /// Takes out all of them, and begins to count from one again.
    pub(crate) fn take(&mut self) -> Vec<(Sequence, Job)> {
        let Self { jobs, .. } = std::mem::take(self);
        jobs.into_iter().map(|(sequence, (job, _))| (sequence, job)).collect()
    }

    pub(crate) fn get(&self, sequence: Sequence) -> Option<&Job> {
        self.jobs.get(&sequence).map(|(job, _)| job)
    }

    /// The first mandatory one whose message has that id.
    pub(crate) fn named(&self, id: &str) -> Option<(Sequence, &Arc<Parcel>)> {
        let sequence = *self.by_id.get(id)?.front()?;
        Some((sequence, &self.get(sequence)?.parcel))
    }

    /// When the one was sent that has been out for longest.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.jobs.first_key_value().map(|(_, (_, sent))| *sent)
    }

    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }
}
