//! Who is meant: exchange, topic, namespace, version, server.
//!
//! A target becomes an [`Address`](crate::driver::Address) when a message is sent, and a
//! [`Source`](crate::driver::Source) when a server starts.

use crate::driver::Address;
use crate::{Error, ErrorKind, Result};

/// Names the receiver of a message, or what a server answers to.
///
/// A client needs a topic; a server needs a topic and a server name. Each method returns the changed target, so a
/// target reads as one expression: `Target::topic("compute").server("host-1")`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Target {
    /// The topic exchange. Default: the exchange of the [`Bus`](crate::Bus).
    ///
    /// It keeps routes apart, not queues: as in the reference a server's queue has the name of its topic, whatever the
    /// exchange. Two applications with one topic name in one virtual host read the same queue and answer each other's
    /// calls, also if their exchanges differ, and a fanout reaches both. A broker cannot be asked for the bindings of a
    /// queue over AMQP, so the library cannot warn of it. Give each application its own virtual host or topic names.
    pub exchange: Option<String>,
    /// The topic that servers share, which is the name of their queue. Needed for every operation.
    pub topic: Option<String>,
    /// The namespace of the method. Default: none.
    pub namespace: Option<String>,
    /// The version of the method's interface, `major.minor`. Default: none, which servers read as 1.0.
    pub version: Option<String>,
    /// One server by its name. Default: none, which means any server of the topic.
    pub server: Option<String>,
    /// Whether every server of the topic gets a copy. Only a cast can be a fanout. Default: no.
    pub fanout: bool,
}

impl Target {
    /// Any one server of `topic`, until `server` or `fanout` says otherwise.
    #[must_use]
    pub fn topic(topic: impl Into<String>) -> Self {
        Self { topic: Some(topic.into()), ..Self::default() }
    }

    /// Sets the exchange, which does not keep queues of one topic name [apart](Self#structfield.exchange).
    #[must_use]
    pub fn exchange(mut self, exchange: impl Into<String>) -> Self {
        self.exchange = Some(exchange.into());
        self
    }

    /// Sets the namespace, in which a server must have an endpoint.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Sets the version, `major.minor`, that a server must be compatible with.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Sets the server: a client reaches this one alone, and a server listens under this name.
    #[must_use]
    pub fn server(mut self, server: impl Into<String>) -> Self {
        self.server = Some(server.into());
        self
    }

    /// Means every server of the topic, also where a server is named. Only a cast can be a fanout.
    #[must_use]
    pub fn fanout(mut self) -> Self {
        self.fanout = true;
        self
    }

    /// Where a request to this target is sent: a fanout goes before a server, a server before the topic.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidTarget`] without a topic.
    pub fn address(&self, default_exchange: &str) -> Result<Address> {
        let topic = self.topic.clone().filter(|topic| !topic.is_empty()).ok_or_else(|| {
            Error::new(ErrorKind::InvalidTarget, "send")
                .with_context("reason", "a topic is required")
                .with_context("target", self)
        })?;
        let exchange = self.exchange.clone().unwrap_or_else(|| default_exchange.to_owned());
        Ok(match &self.server {
            // Before the server: a fanout goes to every server, as in the reference.
            _ if self.fanout => Address::Fanout { topic },
            Some(server) => Address::Server { exchange, topic, server: server.clone() },
            None => Address::Topic { exchange, topic },
        })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            ("exchange", &self.exchange),
            ("topic", &self.topic),
            ("namespace", &self.namespace),
            ("version", &self.version),
            ("server", &self.server),
        ];
        let mut written = parts.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
        f.write_str(&written.next().unwrap_or_default())?;
        written.try_for_each(|part| write!(f, " {part}"))?;
        if self.fanout { f.write_str(" fanout") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_without_a_topic_cannot_be_sent_to() {
        let error = Target::default().server("h1").address("openstack").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidTarget);
    }

    #[test]
    fn fanout_wins_over_a_server_and_ignores_the_exchange() {
        let target = Target::topic("compute").exchange("nova").server("h1").fanout();
        assert_eq!(target.address("openstack").unwrap(), Address::Fanout { topic: "compute".into() });
    }

    #[test]
    fn the_exchange_of_the_bus_is_the_default() {
        let expected = Address::Topic { exchange: "openstack".into(), topic: "compute".into() };
        assert_eq!(Target::topic("compute").address("openstack").unwrap(), expected);
    }
}
