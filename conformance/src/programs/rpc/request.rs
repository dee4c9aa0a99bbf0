//! What a sender asks for.

use serde::{Deserialize, Serialize};

/// One message of a program: who is meant, and what is to run there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub(crate) kind: Kind,
    pub(crate) exchange: Option<String>,
    pub(crate) topic: String,
    pub(crate) server: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) method: Method,
    pub(crate) mandatory: bool,
    pub(crate) impatient: bool,
    pub(crate) given_up: bool,
    pub(crate) times: usize,
}

/// How a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Call,
    Cast,
    Fanout,
}

/// What is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Answers at once.
    Answer,
    /// Answers after a while, so that others overtake it.
    Slow,
    /// Fails with an expected failure.
    Fail,
    /// Is listed by no server.
    Missing,
}

impl Method {
    /// The name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Slow => "slow",
            Self::Fail => "fail",
            Self::Missing => "missing",
        }
    }
}

impl Request {
    /// A call of `answer` on `topic` of the default exchange, undeliverable if nobody is bound.
    #[must_use]
    pub fn call(topic: &str) -> Self {
        Self { kind: Kind::Call, mandatory: true, ..Self::cast(topic) }
    }

    /// A cast of `answer` to `topic` of the default exchange.
    #[must_use]
    pub fn cast(topic: &str) -> Self {
        Self {
            kind: Kind::Cast,
            exchange: None,
            topic: topic.to_owned(),
            server: None,
            namespace: None,
            version: None,
            method: Method::Answer,
            mandatory: false,
            impatient: false,
            given_up: false,
            times: 1,
        }
    }

    /// A cast of `answer` to every server of `topic`.
    #[must_use]
    pub fn fanout(topic: &str) -> Self {
        Self { kind: Kind::Fanout, ..Self::cast(topic) }
    }

    /// Sends through `exchange`.
    #[must_use]
    pub fn exchange(mut self, exchange: &str) -> Self {
        self.exchange = Some(exchange.to_owned());
        self
    }

    /// Sends to one server.
    #[must_use]
    pub fn server(mut self, server: &str) -> Self {
        self.server = Some(server.to_owned());
        self
    }

    /// Means a method in `namespace`.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Asks for `version` of the interface.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.version = Some(version.to_owned());
        self
    }

    /// Runs another method than `answer`.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Turns the default of calls and casts round: a call may go nowhere, a cast may not.
    #[must_use]
    pub fn other_way_round(mut self) -> Self {
        self.mandatory = !self.mandatory;
        self
    }

    /// Waits for a moment only.
    #[must_use]
    pub fn impatient(mut self) -> Self {
        self.impatient = true;
        self
    }

    /// Is given up in the middle: its sender drops it.
    #[must_use]
    pub fn given_up(mut self) -> Self {
        self.given_up = true;
        self
    }

    /// Is sent so many times, each with a number of its own.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }
}
