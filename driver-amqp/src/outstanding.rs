//! The publishes of one channel whose fate is open.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio::time::Instant;

use crate::barrier::Sequence;
use crate::parcel::Job;

/// What is out, in the order it was sent in, and when that was.
#[derive(Default)]
pub(crate) struct Outstanding {
    jobs: BTreeMap<Sequence, (Job, Instant)>,
    /// The mandatory ones. An id comes twice if a message is sent again while its first publish is still out.
    by_id: HashMap<String, VecDeque<Sequence>>,
}

impl Outstanding {
    /// Adds a publish that is sent `now`.
    pub(crate) fn add(&mut self, sequence: Sequence, job: Job, now: Instant) {
        if job.parcel.mandatory {
            self.by_id.entry(job.parcel.id.clone()).or_default().push_back(sequence);
        }
        self.jobs.insert(sequence, (job, now));
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

    /// Takes out all of them.
    pub(crate) fn take(&mut self) -> Vec<(Sequence, Job)> {
        self.by_id.clear();
        std::mem::take(&mut self.jobs).into_iter().map(|(sequence, (job, _))| (sequence, job)).collect()
    }

    pub(crate) fn get(&self, sequence: Sequence) -> Option<&Job> {
        self.jobs.get(&sequence).map(|(job, _)| job)
    }

    /// The first mandatory one whose message has that id.
    pub(crate) fn named(&self, id: &str) -> Option<Sequence> {
        self.by_id.get(id).and_then(|sequences| sequences.front().copied())
    }

    /// When the one was sent that has been out for longest.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.jobs.first_key_value().map(|(_, (_, sent))| *sent)
    }

    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }
}
