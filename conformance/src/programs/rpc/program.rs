//! A program of RPC: servers, and acts of steps that run at the same time.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Request;

/// The class of what [`Method::Fail`](super::Method::Fail) fails with.
pub(crate) const FAILURE: &str = "ValueError";

/// Servers, and acts that are played one after the other. Make one with the methods, or print one to get them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    pub(crate) servers: Vec<Server>,
    pub(crate) acts: Vec<Act>,
    pub(crate) foreign_senders: BTreeSet<usize>,
}

/// A server that a program can start, by its place in the list. Several may have the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    pub(crate) exchange: Option<String>,
    pub(crate) topic: String,
    pub(crate) name: String,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) concurrency: usize,
    pub(crate) at_least_once: bool,
    pub(crate) foreign: bool,
}

/// A namespace and a version that a server answers to, with every method but the missing one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Interface {
    pub(crate) namespace: Option<String>,
    pub(crate) version: String,
}

/// Steps that run at the same time. Those of one sender go out in their order: a cast when the one before it is
/// confirmed, a call without waiting for its answer. The act ends when every step has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    pub(crate) steps: Vec<Step>,
    pub(crate) settle: bool,
}

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    Start {
        server: usize,
    },
    Stop {
        server: usize,
    },
    /// Stops a server with so little time that what runs or waits there may not end.
    Hurry {
        server: usize,
    },
    Kill {
        server: usize,
    },
    Send {
        sender: usize,
        request: Request,
    },
    /// Every connection is lost, once so many things have happened since the act began or nothing does any more.
    Cut {
        after: usize,
    },
}

impl Step {
    /// How often it is done.
    pub(crate) fn times(&self) -> usize {
        match self {
            Self::Send { request, .. } => request.times,
            _ => 1,
        }
    }

    /// The server that it is done to.
    pub(crate) fn server_mut(&mut self) -> Option<&mut usize> {
        match self {
            Self::Start { server } | Self::Stop { server } | Self::Hurry { server } | Self::Kill { server } => {
                Some(server)
            }
            Self::Send { .. } | Self::Cut { .. } => None,
        }
    }
}

impl Program {
    /// A program without servers and acts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a server.
    #[must_use]
    pub fn server(mut self, server: Server) -> Self {
        self.servers.push(server);
        self
    }

    /// Adds an act.
    #[must_use]
    pub fn act(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }

    /// Has the sender played by a process of another implementation.
    #[must_use]
    pub fn foreign_sender(mut self, sender: usize) -> Self {
        self.foreign_senders.insert(sender);
        self
    }

    /// How many senders there are.
    pub(crate) fn senders(&self) -> usize {
        let sender = |step: &Step| match step {
            Step::Send { sender, .. } => sender + 1,
            _ => 0,
        };
        self.acts.iter().flat_map(|act| &act.steps).map(sender).max().unwrap_or(0)
    }
}

impl Server {
    /// A server called `name` on `topic` of the default exchange, without an interface.
    #[must_use]
    pub fn new(topic: &str, name: &str) -> Self {
        Self {
            exchange: None,
            topic: topic.to_owned(),
            name: name.to_owned(),
            interfaces: Vec::new(),
            concurrency: 64,
            at_least_once: false,
            foreign: false,
        }
    }

    /// Listens in `exchange`.
    #[must_use]
    pub fn exchange(mut self, exchange: &str) -> Self {
        self.exchange = Some(exchange.to_owned());
        self
    }

    /// Answers without a namespace, in `version`.
    #[must_use]
    pub fn interface(mut self, version: &str) -> Self {
        self.interfaces.push(Interface { namespace: None, version: version.to_owned() });
        self
    }

    /// Answers in `namespace`, in `version`.
    #[must_use]
    pub fn interface_in(mut self, namespace: &str, version: &str) -> Self {
        self.interfaces.push(Interface { namespace: Some(namespace.to_owned()), version: version.to_owned() });
        self
    }

    /// Runs so many methods at once. Default: 64.
    #[must_use]
    pub fn concurrency(mut self, methods: usize) -> Self {
        self.concurrency = methods;
        self
    }

    /// Acknowledges when it has answered.
    #[must_use]
    pub fn at_least_once(mut self) -> Self {
        self.at_least_once = true;
        self
    }

    /// Is played by a process of another implementation.
    #[must_use]
    pub fn foreign(mut self) -> Self {
        self.foreign = true;
        self
    }
}

impl Act {
    /// An act without steps.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a server.
    #[must_use]
    pub fn start(mut self, server: usize) -> Self {
        self.steps.push(Step::Start { server });
        self
    }

    /// Stops a server and waits until it has ended.
    #[must_use]
    pub fn stop(mut self, server: usize) -> Self {
        self.steps.push(Step::Stop { server });
        self
    }

    /// Stops a server with so little time that it must drop what waits there, and what runs.
    #[must_use]
    pub fn hurry(mut self, server: usize) -> Self {
        self.steps.push(Step::Hurry { server });
        self
    }

    /// Drops a server in the middle of what it does.
    #[must_use]
    pub fn kill(mut self, server: usize) -> Self {
        self.steps.push(Step::Kill { server });
        self
    }

    /// Sends `request`.
    #[must_use]
    pub fn send(mut self, sender: usize, request: Request) -> Self {
        self.steps.push(Step::Send { sender, request });
        self
    }

    /// Loses every connection in the middle of the act, after so many events of its history; each is made again. Needs a
    /// harness that can [cut](crate::Disturbance::Cut).
    #[must_use]
    pub fn cut(mut self, after: usize) -> Self {
        self.steps.push(Step::Cut { after });
        self
    }

    /// Waits, when every step has ended, until everything has run that must run.
    #[must_use]
    pub fn settle(mut self) -> Self {
        self.settle = true;
        self
    }
}
