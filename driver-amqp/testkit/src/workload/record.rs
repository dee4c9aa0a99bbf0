//! The records of a run: operations and their results, what servers started, and faults. A history file has one a line.

use std::fmt;
use std::time::Duration;

use oslo_messaging::{Error, Executed};
use serde::{Deserialize, Serialize};

/// One line. Every time is since the run began, in microseconds in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    Begun(Begun),
    /// What was measured at the start, and what half of that is.
    Paced(Paced),
    Ended(Ended),
    /// A method started.
    #[serde(alias = "ran")]
    MethodStarted(Start),
    /// A handler of events started.
    #[serde(alias = "heard")]
    EventStarted(Start),
    Fault(Fault),
    Sample(Sample),
    /// A message with this number lay in a shared queue in the end.
    Left(u32),
    /// Something did not start or end as it should.
    Trouble(String),
    Over(Over),
}

/// What a run was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    pub seed: u64,
    pub seconds: u64,
    pub queues: Queues,
}

/// What the broker is asked to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Queues {
    Durable,
    Quorum,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paced {
    pub workers: u32,
    /// Operations a second with nothing to hold them back.
    pub capacity: u32,
    /// Operations a second from then on.
    pub pace: u32,
}

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Call,
    /// A call with little time.
    Hasty,
    /// A call to servers that refuse what the broker delivers a second time.
    Once,
    Cast,
    Fanout,
    Notification,
    /// A mandatory cast to a topic without a server.
    Undeliverable,
    /// A call that asks whether everything works again.
    Probe,
}

/// When in a run with one fault an operation was begun. A soak knows its faults one by one, and has no phases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Up to the fault, and while it lasts.
    #[default]
    During,
    /// From the fault until everything works: the broker may still deliver to a consumer that is gone.
    Recovering,
    /// After that.
    Afterwards,
}

/// One operation of a client, and its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub number: u32,
    pub kind: Kind,
    #[serde(default, skip_serializing_if = "Phase::is_during")]
    pub phase: Phase,
    /// The sender, and the place among what it sends to one server, one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<(u32, u32)>,
    #[serde(with = "micros")]
    pub begun: Duration,
    #[serde(with = "micros")]
    pub done: Duration,
    /// What its deadline allowed.
    #[serde(with = "micros")]
    pub allowed: Duration,
    /// `None` if it returned no error.
    #[serde(default, alias = "told", skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// What an error reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// An `ErrorKind`, by name.
    pub kind: String,
    pub executed: Execution,
    pub text: String,
}

/// Whether the operation was executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Execution {
    No,
    Maybe,
    Yes,
}

/// One start of a method or of a handler of events, in the order of first polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    pub number: u32,
    /// Which server; of events, always 0.
    pub server: u8,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redelivered: bool,
    #[serde(with = "micros")]
    pub at: Duration,
}

/// A fault, and how long it had an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    #[serde(alias = "hurt")]
    pub kind: FaultKind,
    #[serde(with = "micros")]
    pub begun: Duration,
    /// When the cause was gone.
    #[serde(with = "micros")]
    pub over: Duration,
    /// When everything had worked again, or was given up.
    #[serde(with = "micros")]
    pub closed: Duration,
    pub recovered: bool,
}

/// The faults of a soak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Connections end in order.
    Cut(FaultTarget),
    Reset(FaultTarget),
    /// The node is killed and started again.
    Kill,
    /// The node stands still.
    Freeze,
    /// The node has a memory alarm.
    Alarm,
    /// The node closes every connection.
    CloseAll,
}

/// Whose connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultTarget {
    Client,
    First,
    Second,
    #[serde(alias = "everybody")]
    All,
}

/// What the process held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    #[serde(with = "micros")]
    pub at: Duration,
    /// Resident memory in KiB.
    pub memory: u64,
    pub threads: u64,
    pub descriptors: u64,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    #[serde(with = "micros")]
    pub at: Duration,
    /// How much was begun: numbers are from 0 up to this.
    pub attempted: u32,
}

impl Ended {
    /// Whether the result is right: that of an undeliverable cast is an error that says so.
    pub fn succeeded(&self) -> bool {
        self.wrong_result().is_none()
    }

    /// The kind of the error, if the operation did not succeed; `not reported` of an undeliverable cast without an error.
    pub fn wrong_result(&self) -> Option<String> {
        let undeliverable = self.kind == Kind::Undeliverable;
        match &self.failure {
            None => undeliverable.then(|| "not reported".to_owned()),
            Some(failure) if undeliverable && failure.kind == "Undeliverable" => None,
            Some(failure) => Some(failure.kind.clone()),
        }
    }

    /// How long it took.
    pub fn took(&self) -> Duration {
        self.done.saturating_sub(self.begun)
    }
}

impl Failure {
    /// Whether it is of `kind`, an `ErrorKind` by name, and reports this of the execution.
    pub fn is(&self, kind: &str, executed: Execution) -> bool {
        self.kind == kind && self.executed == executed
    }
}

impl Kind {
    pub fn is_call(self) -> bool {
        matches!(self, Self::Call | Self::Hasty | Self::Once | Self::Probe)
    }
}

impl Phase {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_during(&self) -> bool {
        *self == Self::During
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call => "call",
            Self::Hasty => "hasty call",
            Self::Once => "call once",
            Self::Cast => "cast",
            Self::Fanout => "fanout",
            Self::Notification => "notification",
            Self::Undeliverable => "undeliverable cast",
            Self::Probe => "probe",
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

impl Fault {
    /// How long the cause lasted.
    pub fn lasted(&self) -> Duration {
        self.over.saturating_sub(self.begun)
    }

    /// How long it took everything to work again.
    pub fn recovery(&self) -> Duration {
        self.closed.saturating_sub(self.over)
    }
}

impl FaultKind {
    /// Its name, without its target.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cut(_) => "cut",
            Self::Reset(_) => "reset",
            Self::Kill => "kill -9",
            Self::Freeze => "freeze",
            Self::Alarm => "memory alarm",
            Self::CloseAll => "close all",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(target) | Self::Reset(target) => write!(f, "{} {target:?}", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let executed = match error.executed() {
            Executed::No => Execution::No,
            Executed::Maybe => Execution::Maybe,
            Executed::Yes => Execution::Yes,
        };
        Self { kind: format!("{:?}", error.kind()), executed, text: error.to_string() }
    }
}

/// Durations as whole microseconds.
mod micros {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_micros)
    }
}
