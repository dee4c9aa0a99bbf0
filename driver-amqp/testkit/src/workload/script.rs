//! The client of a run with one fault: some of everything during it, until everything works, and calls in a row afterwards.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use oslo_messaging::{Bus, RpcClient, Target};
use tokio::time::sleep;

use super::client::{Client, Operation};
use super::journal::Journal;
use super::record::{Kind, Phase};
use super::servers::name;

/// How long an operation may take unless a run says otherwise. Most end at once; a call whose request was lost waits for its
/// answer to the end.
pub const TIMEOUT: Duration = Duration::from_secs(6);
/// How many calls, and how many events, must succeed one after the other once everything works again.
pub const IN_A_ROW: usize = 100;
/// How long to wait before everything is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// Plays the phases of a run.
#[derive(Debug)]
pub struct ScriptedClient {
    client: Client,
    rpc: RpcClient,
    method: &'static str,
    timeout: Duration,
}

impl ScriptedClient {
    /// A client of the servers of `topic` and the listener of `events`, which calls `method` and waits for `timeout` each
    /// time.
    pub fn new(
        bus: &Bus,
        topic: &str,
        events: &str,
        method: &'static str,
        timeout: Duration,
        journal: &Journal,
    ) -> Self {
        let rpc = RpcClient::new(bus, Target::topic(topic));
        Self { client: Client::new(bus, events, journal), rpc, method, timeout }
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
                self.cast(Kind::Cast, &first, Some((0, sequence))).await;
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
        let undeliverable = async {
            let client = self.rpc.prepare().topic("unserved").mandatory(true);
            self.cast(Kind::Undeliverable, &client, None).await;
        };
        let events = async {
            for _ in 0..5 {
                self.notify(Phase::During).await;
            }
        };
        tokio::join!(calls, in_order, others, fanouts, undeliverable, events);
    }

    /// Tries until everything works: each queue is called so often that every consumer of it has its turn, also one that is
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
    fn to(&self, server: Option<u8>) -> RpcClient {
        match server {
            Some(server) => self.rpc.prepare().server(name(server)),
            None => self.rpc.prepare(),
        }
    }

    async fn call(&self, phase: Phase, to: &RpcClient, ms: u64) -> bool {
        self.client.call(self.operation(Kind::Call, phase, None), to, self.method, ms).await
    }

    async fn cast(&self, kind: Kind, to: &RpcClient, place: Option<(u32, u32)>) {
        self.client.cast(self.operation(kind, Phase::During, place), to, self.method).await;
    }

    async fn notify(&self, phase: Phase) -> bool {
        self.client.notify(self.operation(Kind::Notification, phase, None)).await
    }

    fn operation(&self, kind: Kind, phase: Phase, place: Option<(u32, u32)>) -> Operation {
        Operation { kind, phase, place, timeout: self.timeout }
    }
}
