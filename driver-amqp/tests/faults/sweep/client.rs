//! What the client of a run does, and what it is told.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use oslo_messaging::{Bus, Context, MessagingSink, Notifier, Result, RpcClient, Target};
use tokio::time::Instant;

use super::history::{Ended, Kind, Phase};
use super::staff::{Work, name};

/// How long each may take while the connection is cut. Most of it is over at once; a call whose request was lost waits for
/// its answer to the end.
const DURING: Duration = Duration::from_secs(6);
/// How long each may take afterwards: twice the heartbeat of 10 s, and the longest pause between two tries to connect.
const AFTERWARDS: Duration = Duration::from_secs(30);

pub(crate) struct Client {
    rpc: RpcClient,
    notifier: Notifier,
    method: &'static str,
    numbers: AtomicU32,
    ended: Mutex<Vec<Ended>>,
}

impl Client {
    /// A client of the servers of `topic` and the listener of `events`, which calls `method`.
    pub(crate) fn new(bus: &Bus, topic: &str, events: &str, method: &'static str) -> Self {
        Self {
            rpc: RpcClient::new(bus, Target::topic(topic)),
            notifier: Notifier::over("faults.client", MessagingSink::new(bus).topics([events])),
            method,
            numbers: AtomicU32::new(0),
            ended: Mutex::default(),
        }
    }

    /// What has ended so far.
    pub(crate) fn ended(&self) -> Vec<Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does some of everything at once.
    pub(crate) async fn during(&self) {
        let (first, second) = (self.rpc.prepare().server(name(0)), self.rpc.prepare().server(name(1)));
        let calls = join_all([
            self.call(Phase::During, &self.rpc, 0),
            self.call(Phase::During, &self.rpc, 20),
            self.call(Phase::During, &self.rpc, 40),
            self.call(Phase::During, &self.rpc, 60),
            self.call(Phase::During, &first, 10),
            self.call(Phase::During, &second, 30),
        ]);
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

    /// Does what must work again, in a row.
    pub(crate) async fn afterwards(&self) {
        for server in [None, Some(0), None, Some(1), None] {
            let client = self.rpc.prepare();
            let client = match server {
                Some(server) => client.server(name(server)),
                None => client,
            };
            self.call(Phase::Afterwards, &client, 0).await;
        }
        for _ in 0..5 {
            self.notify(Phase::Afterwards).await;
        }
    }

    async fn call(&self, phase: Phase, client: &RpcClient, ms: u64) {
        let allowed = allowed(phase);
        let calling = async |number| {
            let client = client.prepare().timeout(allowed);
            let answer: u32 = client.call(&Context::new(), self.method, &Work { number, ms }).await?;
            assert_eq!(answer, number, "the answer of another call");
            Ok(())
        };
        self.told(Kind::Call, phase, None, calling).await;
    }

    async fn cast(&self, kind: Kind, client: &RpcClient, sequence: Option<u32>) {
        let casting = async |number| {
            let client = client.prepare().timeout(allowed(Phase::During));
            client.cast(&Context::new(), self.method, &Work { number, ms: 0 }).await
        };
        self.told(kind, Phase::During, sequence, casting).await;
    }

    async fn notify(&self, phase: Phase) {
        let notifying = async |number| {
            let notifier = self.notifier.prepare().timeout(allowed(phase));
            notifier.info(&Context::new(), "work", &Work { number, ms: 0 }).await
        };
        self.told(Kind::Notification, phase, None, notifying).await;
    }

    /// Does something with a number of its own, and notes what it is told.
    async fn told<Fut: Future<Output = Result<()>>>(
        &self,
        kind: Kind,
        phase: Phase,
        sequence: Option<u32>,
        act: impl FnOnce(u32) -> Fut,
    ) {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let told = act(number).await.map_err(Into::into);
        let ended = Ended { number, kind, phase, sequence, told, took: begun.elapsed(), allowed: allowed(phase) };
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(ended);
    }
}

fn allowed(phase: Phase) -> Duration {
    match phase {
        Phase::During => DURING,
        Phase::Afterwards => AFTERWARDS,
    }
}
