//! From a `fake:` URL to a transport.

use std::sync::Arc;

use async_trait::async_trait;
use oslo_messaging::{Connector, Deadline, Error, ErrorKind, Executed, Result, Transport, TransportUrl};

use crate::broker::FakeBroker;

/// The driver of `fake:` URLs, for a [`Registry`](oslo_messaging::Registry).
///
/// By default `fake://name` is the broker that the process shares under that name, and each virtual host of it one of its
/// own; `fake://` is the one without a name. Who must not meet others gives it a broker with [`to`](Self::to).
#[derive(Debug, Clone, Default)]
pub struct FakeConnector {
    broker: Option<FakeBroker>,
}

impl FakeConnector {
    /// A connector that leads every URL to `broker`, whatever it says: put under the scheme `rabbit`, it lets a test run
    /// a program with its production configuration.
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

    async fn connect(&self, url: &TransportUrl, deadline: Deadline) -> Result<Arc<dyn Transport>> {
        const OPERATION: &str = "connect";
        if deadline.has_passed() {
            return Err(Error::timeout(OPERATION).with_executed(Executed::No));
        }
        if let Some(broker) = &self.broker {
            return Ok(Arc::new(broker.transport()));
        }
        if let Some(option) = url.query().keys().next() {
            return Err(Error::new(ErrorKind::Config, OPERATION).with_context("unknown option", option));
        }
        Ok(Arc::new(FakeBroker::named(&name_of(url)).transport()))
    }
}

/// The name of the shared broker that `url` means.
fn name_of(url: &TransportUrl) -> String {
    let host = url.hosts().first().and_then(|host| host.hostname.as_deref()).unwrap_or_default();
    match url.virtual_host() {
        None | Some("") => host.to_owned(),
        Some(virtual_host) => format!("{host}/{virtual_host}"),
    }
}
