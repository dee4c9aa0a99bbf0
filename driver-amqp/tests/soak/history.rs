//! A whole run, as its file tells it, so arranged that rules can look things up. Pure, but for reading the file.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::time::Duration;

use testkit::workload::journal;
use testkit::workload::record::{Begun, Ended, Fault, Paced, Record, Sample, Start};

#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub(crate) begun: Option<Begun>,
    pub(crate) paced: Option<Paced>,
    pub(crate) over: Option<Duration>,
    /// How much was begun, if the run came to its end.
    pub(crate) attempted: Option<u32>,
    pub(crate) ended: Vec<Ended>,
    /// In the order of first polls.
    pub(crate) ran: Vec<Start>,
    pub(crate) heard: Vec<Start>,
    /// In the order in which they came.
    pub(crate) faults: Vec<Fault>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) left: HashSet<u32>,
    pub(crate) troubles: Vec<String>,
    starts: HashMap<u32, Vec<Start>>,
}

impl History {
    /// # Errors
    /// When the file cannot be opened, or one of its lines cannot be read.
    pub(crate) fn load(path: &Path) -> io::Result<Self> {
        let mut history = Self::default();
        for record in journal::read(path)? {
            history.add(record?);
        }
        Ok(history)
    }

    pub(crate) fn add(&mut self, record: Record) {
        match record {
            Record::Begun(begun) => self.begun = Some(begun),
            Record::Paced(paced) => self.paced = Some(paced),
            Record::Ended(ended) => self.ended.push(ended),
            Record::Ran(start) => {
                self.ran.push(start);
                self.starts.entry(start.number).or_default().push(start);
            }
            Record::Heard(start) => {
                self.heard.push(start);
                self.starts.entry(start.number).or_default().push(start);
            }
            Record::Fault(fault) => self.faults.push(fault),
            Record::Sample(sample) => self.samples.push(sample),
            Record::Left(number) => {
                self.left.insert(number);
            }
            Record::Trouble(what) => self.troubles.push(what),
            Record::Over(over) => (self.over, self.attempted) = (Some(over.at), Some(over.attempted)),
        }
    }

    /// How often `number` ran or was handled.
    pub(crate) fn starts(&self, number: u32) -> &[Start] {
        self.starts.get(&number).map_or(&[], Vec::as_slice)
    }

    /// Every number that ran or was handled.
    pub(crate) fn started(&self) -> impl Iterator<Item = (u32, &[Start])> {
        self.starts.iter().map(|(number, starts)| (*number, starts.as_slice()))
    }

    /// The faults that were felt at some time from `from` to `to`, the last one first.
    pub(crate) fn faults_within(&self, from: Duration, to: Duration) -> impl Iterator<Item = &Fault> {
        // They do not overlap, so they are closed in the order in which they begin.
        let begun = self.faults.partition_point(|fault| fault.begun <= to);
        self.faults[..begun].iter().rev().take_while(move |fault| fault.closed >= from)
    }

    /// The last of them.
    pub(crate) fn fault_within(&self, from: Duration, to: Duration) -> Option<&Fault> {
        self.faults_within(from, to).next()
    }

    /// The fault during which, or during a part of which, something was under way.
    pub(crate) fn fault_of(&self, ended: &Ended) -> Option<&Fault> {
        self.fault_within(ended.begun, ended.done)
    }
}
