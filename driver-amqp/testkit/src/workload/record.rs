//! The lines of a history: what was done, what came of it, and what was done to the connections and the broker meanwhile.

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
    Ran(Start),
    /// A handler of events started.
    Heard(Start),
    Fault(Fault),
    Sample(Sample),
    /// A message with this number lay in a shared queue in the end.
    Left(u32),
    /// Something did not start or end as it should.
    Trouble(String),
    Over(Over),
}

/// What a run was to be.
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

/// What a client does. Everything it does has a number of its own, which travels as its argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Call,
    /// A call with little time.
    Hasty,
    /// A call to servers that refuse what the broker hands over a second time.
    Once,
    Cast,
    Fanout,
    Notification,
    /// A mandatory cast to a topic that nobody serves.
    Undeliverable,
    /// A call that asks whether everything works again.
    Probe,
}

/// One thing that a client did, and what it was told in the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub number: u32,
    pub kind: Kind,
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
    /// Nothing if it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
}

/// What an error said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// An `ErrorKind`, by name.
    pub kind: String,
    pub executed: Ran,
    pub text: String,
}

/// Whether what was asked for happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ran {
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

/// Something that was done, and how long it was felt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub hurt: Hurt,
    #[serde(with = "micros")]
    pub begun: Duration,
    /// When what was done was undone.
    #[serde(with = "micros")]
    pub over: Duration,
    /// When everything had worked again, or was given up.
    #[serde(with = "micros")]
    pub closed: Duration,
    pub recovered: bool,
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hurt {
    /// Connections end in order.
    Cut(Whose),
    Reset(Whose),
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
pub enum Whose {
    Client,
    First,
    Second,
    Everybody,
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
    /// Whether it went well; who sent to nobody is well served by being told.
    pub fn succeeded(&self) -> bool {
        match &self.told {
            None => self.kind != Kind::Undeliverable,
            Some(told) => self.kind == Kind::Undeliverable && told.kind == "Undeliverable",
        }
    }

    /// How long it took.
    pub fn took(&self) -> Duration {
        self.done.saturating_sub(self.begun)
    }
}

impl Fault {
    /// How long it took to do it and to undo it.
    pub fn lasted(&self) -> Duration {
        self.over.saturating_sub(self.begun)
    }

    /// How long it took everything to work again.
    pub fn recovery(&self) -> Duration {
        self.closed.saturating_sub(self.over)
    }
}

impl Hurt {
    /// What it is, whoever it hurts.
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

impl fmt::Display for Hurt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut(whose) | Self::Reset(whose) => write!(f, "{} {whose:?}", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

impl From<Error> for Told {
    fn from(error: Error) -> Self {
        let executed = match error.executed() {
            Executed::No => Ran::No,
            Executed::Maybe => Ran::Maybe,
            Executed::Yes => Ran::Yes,
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
