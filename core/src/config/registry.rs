//! Which driver serves which scheme of a URL. A value: nothing registers itself.
//!
//! A program registers the drivers that it links, so a URL chooses among them at run time.
//! There is no global table: a test passes another registry.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::driver::{Connector, Transport};
use crate::url::TransportUrl;
use crate::{Deadline, Error, ErrorKind, Result};

/// The drivers of a program, by scheme.
///
/// Explicit and without globals: a test gives the code under test another registry, and nothing else changes.
#[derive(Debug, Clone, Default)]
pub struct Registry(BTreeMap<String, Arc<dyn Connector>>);

impl Registry {
    /// A registry without a driver, which refuses every URL.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a driver under its own schemes; it takes the place of whatever had them.
    #[must_use]
    pub fn register(mut self, connector: impl Connector) -> Self {
        let connector: Arc<dyn Connector> = Arc::new(connector);
        for scheme in connector.schemes() {
            self.0.insert((*scheme).to_owned(), Arc::clone(&connector));
        }
        self
    }

    /// Adds a driver under `scheme` alone, such as the in-memory one under `rabbit` in a test.
    #[must_use]
    pub fn register_scheme(mut self, scheme: &str, connector: impl Connector) -> Self {
        self.0.insert(scheme.to_ascii_lowercase(), Arc::new(connector));
        self
    }

    /// The schemes that have a driver, in alphabetical order.
    pub fn schemes(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Connects to the bus that `url` names, by the driver of its scheme.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if no driver has the scheme, with those that have one; otherwise the driver's own.
    ///
    /// # Cancellation
    /// A dropped future leaves no connection behind.
    pub async fn connect(&self, url: &TransportUrl, deadline: Deadline) -> Result<Arc<dyn Transport>> {
        let connector = self.0.get(url.scheme()).ok_or_else(|| self.unknown(url.scheme()))?;
        connector.connect(url, deadline).await
    }

    /// Lists the schemes that have a driver, so that a driver that was never registered is noticed.
    fn unknown(&self, scheme: &str) -> Error {
        let known = if self.0.is_empty() { "none".to_owned() } else { self.schemes().collect::<Vec<_>>().join(", ") };
        Error::new(ErrorKind::Config, "find driver").with_context("scheme", scheme).with_context("known", known)
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;

    /// Refuses every URL with its own name, which is all that is needed to see which driver was asked.
    #[derive(Debug)]
    struct Refusing(&'static str, &'static [&'static str]);

    #[async_trait]
    impl Connector for Refusing {
        fn schemes(&self) -> &[&str] {
            self.1
        }

        async fn connect(&self, url: &TransportUrl, _: Deadline) -> Result<Arc<dyn Transport>> {
            Err(Error::new(ErrorKind::Denied, "connect").with_context(self.0, url))
        }
    }

    async fn outcome(registry: &Registry, url: &str) -> String {
        let deadline = Deadline::after(std::time::Duration::from_secs(1));
        registry.connect(&url.parse().unwrap(), deadline).await.unwrap_err().to_string()
    }

    fn registry() -> Registry {
        Registry::new().register(Refusing("amqp", &["rabbit", "kombu"])).register(Refusing("memory", &["fake"]))
    }

    #[tokio::test]
    async fn the_scheme_before_the_plus_chooses_the_driver() {
        assert_eq!(outcome(&registry(), "kombu+x://h").await, "connect: access denied (amqp: kombu+x://h)");
        assert_eq!(outcome(&registry(), "fake:").await, "connect: access denied (memory: fake://)");
    }

    #[tokio::test]
    async fn an_unknown_scheme_is_refused_with_the_known_ones() {
        let expected = "find driver: invalid configuration (scheme: nats, known: fake, kombu, rabbit)";
        assert_eq!(outcome(&registry(), "nats://h").await, expected);
        let expected = "find driver: invalid configuration (scheme: nats, known: none)";
        assert_eq!(outcome(&Registry::new(), "nats://h").await, expected);
    }

    #[tokio::test]
    async fn a_later_driver_takes_the_scheme_of_an_earlier_one() {
        let registry = registry().register_scheme("Rabbit", Refusing("memory", &["fake"]));
        assert_eq!(outcome(&registry, "rabbit://h").await, "connect: access denied (memory: rabbit://h)");
        assert_eq!(outcome(&registry, "kombu://h").await, "connect: access denied (amqp: kombu://h)");
    }
}
