//! Everything that a run wrote down, so arranged that rules can look things up.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::journal::{self, Records};
use super::record::{Begun, Ended, Fault, Kind, Paced, Record, Sample, Start};

/// The records of one run.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Whether all servers refuse what the broker delivers a second time.
    pub refusing: bool,
    /// Which servers lost their connections, in a run whose faults are not recorded one by one.
    pub servers_hurt: [bool; 2],
    pub begun: Option<Begun>,
    pub paced: Option<Paced>,
    pub over: Option<Duration>,
    /// How many operations were begun, if the run came to its end.
    pub attempted: Option<u32>,
    pub ended: Vec<Ended>,
    /// In the order of first polls.
    pub methods: Vec<Start>,
    /// In the order of first polls.
    pub events: Vec<Start>,
    /// In the order in which they came; they do not overlap.
    pub faults: Vec<Fault>,
    pub samples: Vec<Sample>,
    /// The numbers of messages that lay in the shared queues at the end.
    pub left: HashSet<u32>,
    pub troubles: Vec<String>,
    starts: HashMap<u32, Vec<Start>>,
}

impl History {
    /// The history of a run with one fault, before it begins.
    pub fn new(refusing: bool, servers_hurt: [bool; 2]) -> Self {
        Self { refusing, servers_hurt, ..Self::default() }
    }

    /// The history in a file.
    ///
    /// # Errors
    /// When the file cannot be opened, or one of its lines cannot be read.
    pub fn load(path: &Path) -> io::Result<Self> {
        let mut history = Self::default();
        for record in journal::read(path)? {
            history.add(record?);
        }
        Ok(history)
    }

    pub fn add(&mut self, record: Record) {
        match record {
            Record::Begun(begun) => self.begun = Some(begun),
            Record::Paced(paced) => self.paced = Some(paced),
            Record::Ended(ended) => self.ended.push(ended),
            Record::MethodStarted(start) => {
                self.methods.push(start);
                self.starts.entry(start.number).or_default().push(start);
            }
            Record::EventStarted(start) => {
                self.events.push(start);
                self.starts.entry(start.number).or_default().push(start);
            }
            Record::Fault(fault) => self.faults.push(fault),
            Record::Sample(sample) => self.samples.push(sample),
            Record::Left(number) => drop(self.left.insert(number)),
            Record::Trouble(what) => self.troubles.push(what),
            Record::Over(over) => (self.over, self.attempted) = (Some(over.at), Some(over.attempted)),
        }
    }

    /// Adds what was written to a journal in memory by now.
    pub fn add_all(&mut self, records: &Records) {
        records.take().into_iter().for_each(|record| self.add(record));
    }

    /// The starts of the method or the handler that took `number`.
    pub fn starts(&self, number: u32) -> &[Start] {
        self.starts.get(&number).map_or(&[], Vec::as_slice)
    }

    /// Every number that a method or a handler took.
    pub fn started(&self) -> impl Iterator<Item = (u32, &[Start])> {
        self.starts.iter().map(|(number, starts)| (*number, starts.as_slice()))
    }

    /// Whether `number` was taken by a method or a handler, or waits in a queue.
    pub fn happened(&self, number: u32) -> bool {
        !self.starts(number).is_empty() || self.left.contains(&number)
    }

    /// Whether everything that was confirmed has arrived where it should.
    pub fn is_complete(&self) -> bool {
        let confirmed = self.ended.iter().filter(|ended| ended.failure.is_none() && ended.kind != Kind::Undeliverable);
        let refused = |ended: &Ended| ended.kind != Kind::Notification && self.may_be_refused();
        confirmed.into_iter().all(|ended| !self.is_missing(ended) || refused(ended))
    }

    /// Whether `ended`, which was confirmed, did not arrive: a fanout, on one of the two servers.
    pub fn is_missing(&self, ended: &Ended) -> bool {
        if self.left.contains(&ended.number) {
            return false;
        }
        let starts = self.starts(ended.number);
        match ended.kind {
            Kind::Fanout => !(0..2).all(|server| starts.iter().any(|start| start.server == server)),
            _ => starts.is_empty(),
        }
    }

    pub fn a_server_was_hurt(&self) -> bool {
        self.servers_hurt.contains(&true)
    }

    /// Whether a server may have refused a request, because the broker delivered it before and the server may not have run it.
    pub fn may_be_refused(&self) -> bool {
        self.refusing && self.a_server_was_hurt()
    }

    /// The faults that had an effect at some time from `from` to `to`, the last one first.
    pub fn faults_within(&self, from: Duration, to: Duration) -> impl Iterator<Item = &Fault> {
        // They do not overlap, so they are closed in the order in which they begin.
        let begun = self.faults.partition_point(|fault| fault.begun <= to);
        self.faults[..begun].iter().rev().take_while(move |fault| fault.closed >= from)
    }

    /// The last of them.
    pub fn fault_within(&self, from: Duration, to: Duration) -> Option<&Fault> {
        self.faults_within(from, to).next()
    }

    /// The fault during which, or during a part of which, an operation was under way.
    pub fn fault_of(&self, ended: &Ended) -> Option<&Fault> {
        self.fault_within(ended.begun, ended.done)
    }
}
