//! The operations of the client, at random.

use std::time::Duration;

use oslo_messaging::{Bus, RpcClient, Target};
use testkit::workload::client::{Client, Operation};
use testkit::workload::journal::Journal;
use testkit::workload::record::{Kind, Phase};
use testkit::workload::servers::{METHOD, name};

/// The topic of two servers that run what the broker delivers a second time, and mark it.
pub(crate) const TOPIC: &str = "work";
/// The topic of two servers that refuse it.
pub(crate) const ONCE: &str = "once";
pub(crate) const EVENTS: &str = "events";
/// A topic without a server.
const UNSERVED: &str = "unserved";

/// How long a hasty call may take, and one that asks whether everything works.
const HASTE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct SoakClient {
    client: Client,
    work: RpcClient,
    once: RpcClient,
    unserved: RpcClient,
    /// How long most operations may take.
    timeout: Duration,
}

impl SoakClient {
    pub(crate) fn new(bus: &Bus, timeout: Duration, journal: &Journal) -> Self {
        Self {
            client: Client::new(bus, EVENTS, journal),
            work: RpcClient::new(bus, Target::topic(TOPIC)),
            once: RpcClient::new(bus, Target::topic(ONCE)),
            unserved: RpcClient::new(bus, Target::topic(UNSERVED)).mandatory(true),
            timeout,
        }
    }

    /// How many operations it has begun.
    pub(crate) fn attempted(&self) -> u32 {
        self.client.attempted()
    }

    /// How many of them have failed.
    pub(crate) fn failed(&self) -> u64 {
        self.client.failed()
    }

    /// Does one operation of `kind`; the method of a call takes `ms`.
    pub(crate) async fn act(&self, kind: Kind, ms: u64) {
        let (client, operation) = (&self.client, operation(kind, self.timeout));
        match kind {
            Kind::Call => client.call(operation, &self.work, METHOD, ms).await,
            Kind::Hasty => client.call(Operation { timeout: HASTE, ..operation }, &self.work, METHOD, ms).await,
            Kind::Once => client.call(operation, &self.once, METHOD, ms).await,
            Kind::Cast => client.cast(operation, &self.work, METHOD).await,
            Kind::Fanout => client.cast(operation, &self.work.prepare().fanout(), METHOD).await,
            Kind::Undeliverable => client.cast(operation, &self.unserved, METHOD).await,
            Kind::Notification => client.notify(operation).await,
            Kind::Probe => self.works().await,
        };
    }

    /// Casts to one server; `place` is the sender, and the place among what it sends there.
    pub(crate) async fn cast_in_order(&self, server: u8, place: (u32, u32)) {
        let operation = Operation { place: Some(place), ..operation(Kind::Cast, self.timeout) };
        self.client.cast(operation, &self.work.prepare().server(name(server)), METHOD).await;
    }

    /// Whether every queue is served: each is called so often that every consumer of it has its turn, also one that is gone
    /// and that the broker has not missed yet.
    pub(crate) async fn works(&self) -> bool {
        let mut works = true;
        for client in [&self.work, &self.once] {
            for server in [None, None, Some(0), Some(1)] {
                let client = match server {
                    Some(server) => client.prepare().server(name(server)),
                    None => client.prepare(),
                };
                works &= self.client.call(operation(Kind::Probe, HASTE), &client, METHOD, 0).await;
            }
        }
        works & self.client.notify(operation(Kind::Notification, HASTE)).await
    }
}

fn operation(kind: Kind, timeout: Duration) -> Operation {
    Operation { kind, phase: Phase::During, place: None, timeout }
}
