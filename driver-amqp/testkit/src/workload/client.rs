//! Calls, casts and events with numbers, each written down with its result.

use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use oslo_messaging::notify::MessagingSink;
use oslo_messaging::{Bus, Context, Notifier, Result, RpcClient};

use super::journal::Journal;
use super::record::{Ended, Kind, Phase, Record};
use super::servers::Work;

/// Numbers what it sends. The number is the argument of a request, and the payload of an event.
#[derive(Debug)]
pub struct Client {
    notifier: Notifier,
    journal: Journal,
    numbers: AtomicU32,
    failed: AtomicU64,
}

/// What one operation is, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    pub kind: Kind,
    pub phase: Phase,
    /// The sender, and the place among what it sends to one server, one after the other.
    pub place: Option<(u32, u32)>,
    pub timeout: Duration,
}

impl Client {
    /// A client whose events go to `topic`.
    pub fn new(bus: &Bus, topic: &str, journal: &Journal) -> Self {
        Self {
            notifier: Notifier::from_sink("workload.client", MessagingSink::new(bus).topics([topic])),
            journal: journal.clone(),
            numbers: AtomicU32::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// How many operations it has begun.
    pub fn attempted(&self) -> u32 {
        self.numbers.load(Ordering::Relaxed)
    }

    /// How many of them have failed.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Calls `method`, which takes `ms`; true if it succeeded.
    pub async fn call(&self, operation: Operation, to: &RpcClient, method: &str, ms: u64) -> bool {
        let calling = async |number| {
            let client = to.prepare().timeout(operation.timeout);
            let answer: u32 = client.call(&Context::new(), method, &Work { number, ms }).await?;
            if answer != number {
                self.journal.trouble(format!("call {number} was answered with {answer}"));
            }
            Ok(())
        };
        self.record(operation, calling).await
    }

    /// Casts to `method`; true if it was confirmed.
    pub async fn cast(&self, operation: Operation, to: &RpcClient, method: &str) -> bool {
        let casting = async |number| {
            to.prepare().timeout(operation.timeout).cast(&Context::new(), method, &Work { number, ms: 0 }).await
        };
        self.record(operation, casting).await
    }

    /// Publishes an event; true if it was confirmed.
    pub async fn notify(&self, operation: Operation) -> bool {
        let notifying = async |number| {
            let notifier = self.notifier.prepare().timeout(operation.timeout);
            notifier.info(&Context::new(), "work", &Work { number, ms: 0 }).await
        };
        self.record(Operation { kind: Kind::Notification, ..operation }, notifying).await
    }

    async fn record<Fut: Future<Output = Result<()>>>(
        &self,
        Operation { kind, phase, place, timeout }: Operation,
        act: impl FnOnce(u32) -> Fut,
    ) -> bool {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let begun = self.journal.now();
        let failure = act(number).await.err().map(Into::into);
        let done = self.journal.now();
        let ended = Ended { number, kind, phase, place, begun, done, allowed: timeout, failure };
        let confirmed = ended.failure.is_none();
        self.failed.fetch_add(u64::from(!ended.succeeded()), Ordering::Relaxed);
        self.journal.write(Record::Ended(ended));
        confirmed
    }
}
