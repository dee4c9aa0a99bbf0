//! What the client of a run does, and what it is told.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use oslo_messaging::{Bus, Context, MessagingSink, Notifier, Result, RpcClient, Target};
use tokio::time::{Instant, sleep};

use super::history::{Ended, Kind, Phase};
use super::servers::{Work, name};

/// How long each may take unless it is said. Most of it is over at once; a call whose request was lost waits for its answer to
/// the end.
pub const PATIENCE: Duration = Duration::from_secs(6);
/// How many calls, and how many events, must succeed one after the other once everything works again.
pub const IN_A_ROW: usize = 100;
/// How long to wait before everything is tried again.
const PAUSE: Duration = Duration::from_millis(50);

pub struct Client {
    rpc: RpcClient,
    notifier: Notifier,
    method: &'static str,
    patience: Duration,
    numbers: AtomicU32,
    ended: Mutex<Vec<Ended>>,
}

impl Client {
    /// A client of the servers of `topic` and the listener of `events`, which calls `method`, and waits for `patience` each
    /// time.
    pub fn new(bus: &Bus, topic: &str, events: &str, method: &'static str, patience: Duration) -> Self {
        Self {
            rpc: RpcClient::new(bus, Target::topic(topic)),
            notifier: Notifier::over("faults.client", MessagingSink::new(bus).topics([events])),
            method,
            patience,
            numbers: AtomicU32::new(0),
            ended: Mutex::default(),
        }
    }

    /// What has ended so far.
    pub fn ended(&self) -> Vec<Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does some of everything at once.
    pub async fn during(&self) {
        let called = [(None, 0), (None, 20), (None, 40), (None, 60), (Some(0), 10), (Some(1), 30)];
        let calls =
            called.map(|(server, ms)| async move { self.call(Phase::During, &self.to(server), ms).await }.boxed());
        let calls = join_all(calls);
        let first = self.to(Some(0));
        let in_order = async {
            for sequence in 0..5 {
                self.cast(Kind::Cast, &first, Some(sequence)).await;
            }
        };
        let others = async {
            for _ in 0..3 {
                self.cast(Kind::Cast, &self.rpc, None).await;
            }
        };
        let fanouts = async {
            for _ in 0..2 {
                self.cast(Kind::Fanout, &self.rpc.prepare().fanout(), None).await;
            }
        };
        let nobody = async {
            let client = self.rpc.prepare().topic("nobody").mandatory(true);
            self.cast(Kind::Undeliverable, &client, None).await;
        };
        let events = async {
            for _ in 0..5 {
                self.notify(Phase::During).await;
            }
        };
        tokio::join!(calls, in_order, others, fanouts, nobody, events);
    }

    /// Tries until everything works: each queue is asked so often that every reader of it has had its turn, also one that is
    /// gone and that the broker has not missed yet.
    pub async fn recovered(&self) {
        loop {
            let mut works = true;
            for server in [None, None, None, None, Some(0), Some(0), Some(1), Some(1)] {
                works &= self.call(Phase::Recovering, &self.to(server), 0).await;
            }
            works &= self.notify(Phase::Recovering).await;
            if works {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    /// Does what must work again: calls in a row, and events in a row, until one fails.
    pub async fn afterwards(&self) {
        let calls = async {
            for server in [None, Some(0), None, Some(1)].into_iter().cycle().take(IN_A_ROW) {
                if !self.call(Phase::Afterwards, &self.to(server), 0).await {
                    break;
                }
            }
        };
        let events = async {
            for _ in 0..IN_A_ROW {
                if !self.notify(Phase::Afterwards).await {
                    break;
                }
            }
        };
        tokio::join!(calls, events);
    }

    /// A client of one server, or of all.
    fn to(&self, server: Option<usize>) -> RpcClient {
        match server {
            Some(server) => self.rpc.prepare().server(name(server)),
            None => self.rpc.prepare(),
        }
    }

    /// Whether it succeeded.
    async fn call(&self, phase: Phase, client: &RpcClient, ms: u64) -> bool {
        let calling = async |number| {
            let client = client.prepare().timeout(self.patience);
            let answer: u32 = client.call(&Context::new(), self.method, &Work { number, ms }).await?;
            assert_eq!(answer, number, "the answer of another call");
            Ok(())
        };
        self.told(Kind::Call, phase, None, calling).await
    }

    async fn cast(&self, kind: Kind, client: &RpcClient, sequence: Option<u32>) {
        let casting = async |number| {
            let client = client.prepare().timeout(self.patience);
            client.cast(&Context::new(), self.method, &Work { number, ms: 0 }).await
        };
        self.told(kind, Phase::During, sequence, casting).await;
    }

    async fn notify(&self, phase: Phase) -> bool {
        let notifying = async |number| {
            let notifier = self.notifier.prepare().timeout(self.patience);
            notifier.info(&Context::new(), "work", &Work { number, ms: 0 }).await
        };
        self.told(Kind::Notification, phase, None, notifying).await
    }

    /// Does something with a number of its own, and notes what it is told; true if it succeeded.
    async fn told<Fut: Future<Output = Result<()>>>(
        &self,
        kind: Kind,
        phase: Phase,
        sequence: Option<u32>,
        act: impl FnOnce(u32) -> Fut,
    ) -> bool {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let told = act(number).await.map_err(Into::into);
        let succeeded = told.is_ok();
        let ended = Ended { number, kind, phase, sequence, told, begun, took: begun.elapsed(), allowed: self.patience };
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(ended);
        succeeded
    }
}
