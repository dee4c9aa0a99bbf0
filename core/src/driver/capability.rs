//! What a driver can do, declared so that a missing behaviour is an error value and never a surprise.

use std::collections::BTreeSet;

/// A behaviour that some brokers have and others cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// One server among several can be addressed by name.
    ServerAddress,
    /// A message reaches every server of a topic.
    Fanout,
    /// A mandatory publish to an address without a queue fails with `Undeliverable`.
    Mandatory,
    /// A message is dropped after its time to live.
    Expiration,
    /// A message can be put back for another try.
    Requeue,
    /// A message that was handed over before says so.
    RedeliveredFlag,
    /// Shared queues keep messages while no listener is connected.
    Retention,
    /// The publisher can make the queue of a notification.
    EnsureQueue,
    /// Several readers of one named pool share its copy of the notifications.
    Pools,
    /// A publish returns only when the broker owns the message.
    Confirms,
}

/// What one driver can do. By default nothing; the suite leaves out the cases of what is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities(BTreeSet<Capability>);

impl Capabilities {
    /// Whether the driver has `capability`; the conformance suite tests each that a driver claims.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        self.0.contains(&capability)
    }

    /// The behaviours, in a stable order.
    pub fn iter(&self) -> impl Iterator<Item = Capability> {
        self.0.iter().copied()
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        Self(capabilities.into_iter().collect())
    }
}
