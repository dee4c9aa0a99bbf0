//! A program of RPC: servers, and acts that are played one after the other.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Request;
use crate::programs::acts::{self, setters};
use crate::programs::json::display_as_json;

/// The class of the failure of [`Method::Fail`](super::request::Method::Fail).
pub(crate) const FAILURE: &str = "ValueError";

/// Servers, and acts that are played one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Program {
    #[serde(default)]
    pub(crate) servers: Vec<Server>,
    #[serde(default)]
    pub(crate) acts: Vec<Act>,
    #[serde(default)]
    /// The senders that processes of another implementation play.
    pub(crate) foreign_senders: BTreeSet<usize>,
}

/// A server that a program can start. Steps name it by its index; several servers may have the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Server {
    /// `None` for the default exchange.
    pub(crate) exchange: Option<String>,
    pub(crate) topic: String,
    /// The last part of its address. Without it a request goes to any server of the topic.
    pub(crate) name: String,
    /// Without any, the server refuses every request.
    #[serde(default)]
    pub(crate) interfaces: Vec<Interface>,
    /// How many of its methods run at once; other requests wait.
    pub(crate) concurrency: usize,
    #[serde(default)]
    /// Whether it acknowledges a request only after it has answered.
    pub(crate) at_least_once: bool,
    #[serde(default)]
    /// Whether a process of another implementation plays it.
    pub(crate) foreign: bool,
}

/// A namespace and a version that a server implements, with every method but the missing one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Interface {
    pub(crate) namespace: Option<String>,
    /// `major.minor`. It serves requests of the same major and no higher minor.
    pub(crate) version: String,
}

/// The steps of one act, which are under way at once.
pub(crate) type Act = acts::Act<Request>;

/// One step of an act: a request, or the start or end of a server.
pub(crate) type Step = acts::Step<Request>;

display_as_json!(Program);

impl Program {
    /// How many senders there are: one more than the highest index in the steps.
    pub(crate) fn senders(&self) -> usize {
        acts::senders(&self.acts)
    }

    /// Whether the program can be played: servers start and end in turn.
    pub(crate) fn is_whole(&self) -> bool {
        acts::are_whole(&self.acts)
    }

    /// The program without one server, and without the steps that start and end it.
    pub(crate) fn without_server(&self, gone: usize) -> Self {
        let mut program = Self { acts: acts::without_actor(&self.acts, gone), ..self.clone() };
        program.servers.remove(gone);
        program
    }
}

impl Server {
    /// A server of the default exchange, without an interface, with a concurrency of 64.
    pub(crate) fn new(topic: &str, name: &str) -> Self {
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

    /// Adds an interface for requests that name no namespace.
    pub(crate) fn interface(mut self, version: &str) -> Self {
        self.interfaces.push(Interface { namespace: None, version: version.to_owned() });
        self
    }

    /// Adds an interface for requests that name `namespace`.
    pub(crate) fn interface_in(mut self, namespace: &str, version: &str) -> Self {
        self.interfaces.push(Interface { namespace: Some(namespace.to_owned()), version: version.to_owned() });
        self
    }
}

setters!(Server {
    exchange(exchange: &str) => exchange = Some(exchange.to_owned());
    concurrency(methods: usize) => concurrency = methods;
    at_least_once() => at_least_once = true;
    foreign() => foreign = true;
});

/// Builders, with which tests write programs.
#[cfg(test)]
impl Program {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn server(mut self, server: Server) -> Self {
        self.servers.push(server);
        self
    }

    pub(crate) fn act(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }

    pub(crate) fn foreign_sender(mut self, sender: usize) -> Self {
        self.foreign_senders.insert(sender);
        self
    }
}
