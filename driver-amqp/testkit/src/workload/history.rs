//! What was asked for in one run, what was told of it, and what came of it.

use std::fmt;
use std::time::Duration;

use oslo_messaging::{Error, ErrorKind, Executed};
use tokio::time::Instant;

/// What a client does. Everything it does has a number of its own, which travels as its argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Call,
    Cast,
    Fanout,
    Notification,
    /// A mandatory cast to a topic that nobody serves.
    Undeliverable,
}

/// When it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// While the connection was cut.
    During,
    /// Once it had been, until everything works: also what the broker still hands to somebody who is gone may fail.
    Recovering,
    /// After that.
    Afterwards,
}

/// One thing that a client did, and what it was told in the end.
#[derive(Debug, Clone)]
pub struct Ended {
    pub number: u32,
    pub kind: Kind,
    pub phase: Phase,
    /// The place among what one task sent to one server, one after the other.
    pub sequence: Option<u32>,
    pub told: Result<(), Told>,
    pub begun: Instant,
    pub took: Duration,
    /// What its deadline allowed.
    pub allowed: Duration,
}

/// What an error said.
#[derive(Debug, Clone)]
pub struct Told {
    pub kind: ErrorKind,
    pub executed: Executed,
    /// For whoever reads a report.
    pub text: String,
}

/// One start of a method or of a handler of events, in the order of first polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    pub number: u32,
    /// Which server; of events, always 0.
    pub server: usize,
    pub redelivered: bool,
}

/// Everything of one run.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Whether the servers refuse what the broker hands over a second time.
    pub refusing: bool,
    /// Whose connections were lost.
    pub client_hurt: bool,
    pub servers_hurt: [bool; 2],
    pub ended: Vec<Ended>,
    pub methods: Vec<Started>,
    pub events: Vec<Started>,
    /// What lay in the shared queues in the end.
    pub left: Vec<u32>,
}

impl History {
    /// How often `number` ran, or was handled, on `server`.
    pub fn starts(&self, ended: &Ended, server: usize) -> usize {
        self.started(ended.kind).filter(|start| start.number == ended.number && start.server == server).count()
    }

    /// How often in all.
    pub fn all_starts(&self, ended: &Ended) -> usize {
        self.starts(ended, 0) + self.starts(ended, 1)
    }

    fn started(&self, kind: Kind) -> impl Iterator<Item = &Started> {
        match kind {
            Kind::Notification => self.events.iter(),
            _ => self.methods.iter(),
        }
    }

    pub fn a_server_was_hurt(&self) -> bool {
        self.servers_hurt.contains(&true)
    }

    /// Whether everything that was confirmed has come out where it should.
    pub fn is_complete(&self) -> bool {
        let confirmed = self.ended.iter().filter(|ended| ended.told.is_ok() && ended.kind != Kind::Undeliverable);
        let refused = |ended: &Ended| ended.kind != Kind::Notification && self.may_be_refused();
        confirmed.into_iter().all(|ended| self.missing(ended).is_none() || refused(ended))
    }

    /// Where `ended`, which was confirmed, is missing.
    pub fn missing(&self, ended: &Ended) -> Option<&'static str> {
        let (first, second) = (self.starts(ended, 0), self.starts(ended, 1));
        match ended.kind {
            _ if self.left.contains(&ended.number) => None,
            Kind::Fanout if first == 0 => Some("on the first server"),
            Kind::Fanout if second == 0 => Some("on the second server"),
            Kind::Fanout => None,
            _ => (first + second == 0).then_some("everywhere"),
        }
    }

    /// Whether a server may have refused what it was given, since it was given it before and may not have run it.
    pub fn may_be_refused(&self) -> bool {
        self.refusing && self.a_server_was_hurt()
    }
}

impl From<Error> for Told {
    fn from(error: Error) -> Self {
        Self { kind: error.kind(), executed: error.executed(), text: error.to_string() }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call => "call",
            Self::Cast => "cast",
            Self::Fanout => "fanout",
            Self::Notification => "notification",
            Self::Undeliverable => "undeliverable cast",
        })
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::During => "during",
            Self::Recovering => "recovering",
            Self::Afterwards => "afterwards",
        })
    }
}
