//! A history in which nothing is wrong, to be broken by one record.

use std::time::Duration;

use super::super::history::History;
use super::super::record::{
    Begun, Ended, Execution, Failure, Fault, FaultKind, Kind, Over, Phase, Queues, Record, Start,
};

/// One of each kind, numbered from 0.
pub(super) const KINDS: [Kind; 7] =
    [Kind::Call, Kind::Once, Kind::Cast, Kind::Fanout, Kind::Notification, Kind::Undeliverable, Kind::Hasty];

/// The records of a run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    records: Vec<Record>,
    pub(super) refusing: bool,
    pub(super) servers_hurt: [bool; 2],
}

impl Run {
    /// A run in which nothing is wrong.
    pub(super) fn sound() -> Self {
        let mut records = vec![Record::Begun(Begun { seed: 1, seconds: 60, queues: Queues::Durable })];
        for (number, kind) in (0..).zip(KINDS) {
            match kind {
                Kind::Notification => records.push(Record::EventStarted(start(number, 0))),
                Kind::Undeliverable => {}
                Kind::Fanout => records.extend([0, 1].map(|server| Record::MethodStarted(start(number, server)))),
                _ => records.push(Record::MethodStarted(start(number, 0))),
            }
            records.push(Record::Ended(ended(number, kind)));
        }
        records.push(Record::Over(Over { at: secs(60), attempted: 7 }));
        Self { records, refusing: false, servers_hurt: [false; 2] }
    }

    pub(super) fn with(mut self, more: impl IntoIterator<Item = Record>) -> Self {
        self.records.extend(more);
        self
    }

    pub(super) fn without(mut self, gone: impl Fn(&Record) -> bool) -> Self {
        self.records.retain(|record| !gone(record));
        self
    }

    /// Without the starts of `number`.
    pub(super) fn unstarted(self, number: u32) -> Self {
        self.without(|record| {
            matches!(record, Record::MethodStarted(start) | Record::EventStarted(start) if start.number == number)
        })
    }

    /// Without the end of `number`.
    pub(super) fn unended(self, number: u32) -> Self {
        self.without(|record| matches!(record, Record::Ended(ended) if ended.number == number))
    }

    pub(super) fn history(&self) -> History {
        let mut history = History::new(self.refusing, self.servers_hurt);
        self.records.iter().for_each(|record| history.add(record.clone()));
        history
    }
}

/// Exactly one rule is broken, and it is this one.
pub(super) fn breaks(found: &[String], rule: &str) {
    assert!(found.len() == 1 && found[0].starts_with(rule), "{rule}: {found:?}");
}

pub(super) fn holds(found: &[String]) {
    assert!(found.is_empty(), "{found:?}");
}

/// Number `number` begins at as many seconds, and takes one.
pub(super) fn ended(number: u32, kind: Kind) -> Ended {
    let begun = secs(number.into());
    let failure = (kind == Kind::Undeliverable).then(|| failure("Undeliverable", Execution::No));
    let phase = Phase::During;
    Ended { number, kind, phase, place: None, begun, done: begun + secs(1), allowed: secs(20), failure }
}

/// Number `number` failed.
pub(super) fn failed(number: u32, kind: Kind, error: &str, executed: Execution) -> Record {
    Record::Ended(Ended { failure: Some(failure(error, executed)), ..ended(number, kind) })
}

pub(super) fn start(number: u32, server: u8) -> Start {
    Start { number, server, redelivered: false, at: secs(number.into()) }
}

/// A second start, on the second server, after so many seconds.
pub(super) fn again(number: u32, at: u64) -> Start {
    Start { redelivered: true, at: secs(at), ..start(number, 1) }
}

pub(super) fn fault(kind: FaultKind, begun: u64, closed: u64) -> Record {
    let (begun, closed) = (secs(begun), secs(closed));
    Record::Fault(Fault { kind, begun, over: begun, closed, recovered: true })
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn failure(kind: &str, executed: Execution) -> Failure {
    Failure { kind: kind.to_owned(), executed, text: String::new() }
}
