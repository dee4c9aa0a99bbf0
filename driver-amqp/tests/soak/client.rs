//! What a client does, and what it is told.

use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use oslo_messaging::{Bus, Context, MessagingSink, Notifier, Result, RpcClient, Target};

use super::servers::{EVENTS, METHOD, NOBODY, ONCE, TOPIC, Work, name};
use testkit::workload::journal::Journal;
use testkit::workload::record::{Ended, Kind, Record};

/// How long a call with little time may take, and one that asks whether everything works.
const HASTE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Client {
    work: RpcClient,
    once: RpcClient,
    nobody: RpcClient,
    notifier: Notifier,
    journal: Journal,
    numbers: AtomicU32,
    failed: AtomicU64,
    /// How long most of it may take.
    patience: Duration,
}

impl Client {
    pub(crate) fn new(bus: &Bus, patience: Duration, journal: &Journal) -> Self {
        Self {
            work: RpcClient::new(bus, Target::topic(TOPIC)),
            once: RpcClient::new(bus, Target::topic(ONCE)),
            nobody: RpcClient::new(bus, Target::topic(NOBODY)).mandatory(true),
            notifier: Notifier::over("soak.client", MessagingSink::new(bus).topics([EVENTS])),
            journal: journal.clone(),
            numbers: AtomicU32::new(0),
            failed: AtomicU64::new(0),
            patience,
        }
    }

    /// How much it has begun.
    pub(crate) fn attempted(&self) -> u32 {
        self.numbers.load(Ordering::Relaxed)
    }

    /// How much of it has failed.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Does one thing of `kind`; what takes its time takes `ms`. True if it succeeded.
    pub(crate) async fn act(&self, kind: Kind, ms: u64) -> bool {
        match kind {
            Kind::Call => self.call(kind, &self.work, self.patience, ms).await,
            Kind::Hasty => self.call(kind, &self.work, HASTE, ms).await,
            Kind::Once => self.call(kind, &self.once, self.patience, ms).await,
            Kind::Cast => self.cast(kind, &self.work, None).await,
            Kind::Fanout => self.cast(kind, &self.work.prepare().fanout(), None).await,
            Kind::Undeliverable => self.cast(kind, &self.nobody, None).await,
            Kind::Notification => self.notify(self.patience).await,
            Kind::Probe => self.works().await,
        }
    }

    /// Casts to one server; `place` says where among what its sender sends there.
    pub(crate) async fn cast_in_order(&self, server: u8, place: (u32, u32)) {
        self.cast(Kind::Cast, &self.work.prepare().server(name(server)), Some(place)).await;
    }

    /// Whether every queue is served: each is asked so often that every reader of it has its turn, also one that is gone and
    /// that the broker has not missed yet.
    pub(crate) async fn works(&self) -> bool {
        let mut works = true;
        for client in [&self.work, &self.once] {
            for server in [None, None, Some(0), Some(1)] {
                let client = match server {
                    Some(server) => client.prepare().server(name(server)),
                    None => client.prepare(),
                };
                works &= self.call(Kind::Probe, &client, HASTE, 0).await;
            }
        }
        works & self.notify(HASTE).await
    }

    async fn call(&self, kind: Kind, client: &RpcClient, allowed: Duration, ms: u64) -> bool {
        let calling = async |number| {
            let client = client.prepare().timeout(allowed);
            let answer: u32 = client.call(&Context::new(), METHOD, &Work { number, ms }).await?;
            if answer != number {
                self.journal.trouble(format!("call {number} was answered with {answer}"));
            }
            Ok(())
        };
        self.told(kind, allowed, None, calling).await
    }

    async fn cast(&self, kind: Kind, client: &RpcClient, place: Option<(u32, u32)>) -> bool {
        let casting = async |number| {
            client.prepare().timeout(self.patience).cast(&Context::new(), METHOD, &Work { number, ms: 0 }).await
        };
        self.told(kind, self.patience, place, casting).await
    }

    async fn notify(&self, allowed: Duration) -> bool {
        let notifying = async |number| {
            self.notifier.prepare().timeout(allowed).info(&Context::new(), METHOD, &Work { number, ms: 0 }).await
        };
        self.told(Kind::Notification, allowed, None, notifying).await
    }

    /// Does something with a number of its own, and writes down what it is told; true if it succeeded.
    async fn told<Fut: Future<Output = Result<()>>>(
        &self,
        kind: Kind,
        allowed: Duration,
        place: Option<(u32, u32)>,
        act: impl FnOnce(u32) -> Fut,
    ) -> bool {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let begun = self.journal.now();
        let told = act(number).await.err().map(Into::into);
        let done = self.journal.now();
        let ended = Ended { number, kind, place, begun, done, allowed, told };
        let succeeded = ended.succeeded();
        self.failed.fetch_add(u64::from(!succeeded), Ordering::Relaxed);
        self.journal.write(Record::Ended(ended));
        succeeded
    }
}
