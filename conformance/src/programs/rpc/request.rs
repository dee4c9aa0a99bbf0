//! A request: where it goes, and which method it runs there.

use serde::{Deserialize, Serialize};

use crate::programs::acts::setters;
use crate::programs::json::display_as_json;

/// One message of a program. A cast goes out when the cast before it is
/// confirmed, a call without waiting for an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    /// `None` for the default exchange.
    pub(crate) exchange: Option<String>,
    pub(crate) topic: String,
    /// `None` for any server of the topic.
    pub(crate) server: Option<String>,
    /// `None` for interfaces without a namespace.
    pub(crate) namespace: Option<String>,
    /// `None` asks for version 1.0, as in the reference.
    pub(crate) version: Option<String>,
    /// Decides how long the request takes, and how it ends.
    pub(crate) method: Method,
    /// Whether it fails with `Undeliverable` if no queue is bound.
    #[serde(default)]
    pub(crate) mandatory: bool,
    /// Whether its caller waits only for [`Budget::quiet`](crate::Budget::quiet), not for `arrive`.
    #[serde(default)]
    pub(crate) impatient: bool,
    /// Whether its sender drops it while it is in flight.
    #[serde(default)]
    pub(crate) given_up: bool,
    /// How often it is sent, each time as a message with its own number.
    pub(crate) times: usize,
}

/// How a request is sent: whether its sender waits for an answer, and who gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Ends with the answer of one server, or at its deadline.
    Call,
    /// Ends when the bus has the request.
    Cast,
    /// A cast to every server of the topic, whatever its exchange.
    Fanout,
}

/// The method that a request asks for, which decides how it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Method {
    /// Answers at once with the numbers of server and request.
    Answer,
    /// Answers after a third of [`Budget::quiet`](crate::Budget::quiet), so that other requests overtake it.
    Slow,
    /// Fails as `ValueError`, with the number of the request as its text.
    Fail,
    /// No server has it, so a server that fits refuses it.
    Missing,
}

display_as_json!(Request);

impl Method {
    /// As requests and reports of processes name it.
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
    /// A mandatory call of `answer` on `topic` of the default exchange.
    /// Like [`cast`](Self::cast), it has no namespace and no version.
    pub(crate) fn call(topic: &str) -> Self {
        Self { kind: Kind::Call, mandatory: true, ..Self::cast(topic) }
    }

    /// A cast of `answer` to `topic` of the default exchange.
    pub(crate) fn cast(topic: &str) -> Self {
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
    pub(crate) fn fanout(topic: &str) -> Self {
        Self { kind: Kind::Fanout, ..Self::cast(topic) }
    }

    /// Sends it that many times, each time as a message with its own number.
    pub(crate) fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }
}

setters!(Request {
    exchange(exchange: &str) => exchange = Some(exchange.to_owned());
    server(server: &str) => server = Some(server.to_owned());
    namespace(namespace: &str) => namespace = Some(namespace.to_owned());
    version(version: &str) => version = Some(version.to_owned());
    method(method: Method) => method = method;
    impatient() => impatient = true;
    given_up() => given_up = true;
});

#[cfg(test)]
impl Request {
    /// Inverts the default of its kind: a call need not be deliverable, a cast must be.
    pub(crate) fn other_way_round(self) -> Self {
        Self { mandatory: !self.mandatory, ..self }
    }
}
