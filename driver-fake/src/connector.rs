//! Connects `fake:` URLs, each to the broker that the process shares under its name.

use std::sync::Arc;

use async_trait::async_trait;
use oslo_messaging::config::TransportUrl;
use oslo_messaging::driver::{Connector, Transport};
use oslo_messaging::{Deadline, Error, ErrorKind, Executed, Result};

use crate::broker::FakeBroker;

/// The driver of `fake:` URLs, for a [`Registry`](oslo_messaging::Registry).
///
/// `fake://name` refers to the broker that the process shares under that name; each virtual host is a broker
/// of its own, and `fake://` is the one with the empty name. A test that must not share a broker passes one
/// with [`to`](Self::to). The URL takes no options.
#[derive(Debug, Clone, Default)]
pub struct FakeConnector {
    /// The broker for every URL; `None` finds one by the name in the URL.
    broker: Option<FakeBroker>,
}

impl FakeConnector {
    /// A connector that connects every URL to `broker`. Registered under the scheme `rabbit`, it lets a test
    /// run a program with its production configuration.
    #[must_use]
    pub fn to(broker: &FakeBroker) -> Self {
        Self { broker: Some(broker.clone()) }
    }
}

#[async_trait]
impl Connector for FakeConnector {
    fn schemes(&self) -> &[&str] {
        &["fake"]
    }

    /// Connects at once, without waiting for an alarm to end.
    ///
    /// # Errors
    /// `Timeout` if the deadline has passed; `Config` if the URL has an option and names the broker.
    async fn connect(&self, url: &TransportUrl, deadline: Deadline) -> Result<Arc<dyn Transport>> {
        const OPERATION: &str = "connect";
        if deadline.has_passed() {
            return Err(Error::timeout(OPERATION).with_executed(Executed::No));
        }
        if let Some(broker) = &self.broker {
            return Ok(Arc::new(broker.transport()));
        }
        if let Some(option) = url.query().keys().next() {
            return Err(Error::new(ErrorKind::Config, OPERATION).with_context("unknown_option", option));
        }
        Ok(Arc::new(FakeBroker::named(&name_of(url)).transport()))
    }
}

/// The name of the shared broker for `url`: the first host, and the virtual host if there is one.
///
/// Ports, users and further hosts do not matter.
fn name_of(url: &TransportUrl) -> String {
    let host = url.hosts().first().and_then(|host| host.hostname.as_deref()).unwrap_or_default();
    match url.virtual_host() {
        None | Some("") => host.to_owned(),
        Some(virtual_host) => format!("{host}/{virtual_host}"),
    }
}
