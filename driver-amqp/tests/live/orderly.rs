//! What servers and callers lose, and do not lose, when one of them stops or is cut off.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oslo_messaging::{Bus, Context, Deadline, Endpoint, RpcClient, RpcServer, Target};
use tokio::sync::Semaphore;

use testkit::stage::{ARRIVE, Stage, soon, until, within};

const CONCURRENCY: usize = 64;

/// A method that waits, and how many requests have come to it.
#[derive(Debug, Clone)]
struct Desk {
    begun: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

impl Desk {
    fn new() -> Self {
        Self { begun: Arc::default(), gate: Arc::new(Semaphore::new(0)) }
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    async fn serve(&self, bus: &Bus) -> RpcServer {
        let endpoint = Endpoint::new(self.clone()).method("wait", async |desk: Arc<Self>, _: Context, (): ()| {
            desk.begun.fetch_add(1, Ordering::SeqCst);
            desk.gate.acquire().await.expect("never closed").forget();
            Ok::<_, Infallible>(())
        });
        let target = Target::topic("desk").server("d");
        RpcServer::builder(bus, target)
            .endpoint(endpoint)
            .concurrency(CONCURRENCY)
            .start(soon())
            .await
            .expect("a server")
    }
}

pub(crate) async fn a_server_that_stops_leaves_what_it_had_not_acknowledged_to_the_next() {
    const REQUESTS: usize = 500;
    let stage = Stage::shared().await;
    let (bus, other) = (Bus::new(stage.connect().await), Bus::new(stage.connect().await));
    let (first, second) = (Desk::new(), Desk::new());
    let server = first.serve(&bus).await;
    let client = RpcClient::new(&other, Target::topic("desk"));
    for _ in 0..REQUESTS {
        client.cast(&Context::new(), "wait", &()).await.expect("a cast");
    }
    until("every handler to be busy", async || first.begun() == CONCURRENCY).await;
    server.shutdown(Deadline::after(Duration::from_millis(100))).await.expect_err("no method ends");

    second.gate.add_permits(REQUESTS + 1);
    let next = second.serve(&other).await;
    // A caller that waits behind all that is left.
    client.call::<()>(&Context::new(), "wait", &()).await.expect("an answer");
    next.shutdown(soon()).await.expect("an end");
    let reserve = CONCURRENCY / 4;
    let lost = REQUESTS - first.begun() - (second.begun() - 1);
    assert!(lost <= reserve, "{lost} requests were neither begun nor left, and {reserve} can have been acknowledged");
}

pub(crate) async fn a_caller_that_is_cut_with_400_calls_in_flight_gets_every_answer() {
    const CALLS: usize = 400;
    let stage = Stage::shared().await;
    let (bus, other) = (Bus::new(stage.connect().await), Bus::new(stage.connect().await));
    let desk = Desk::new();
    let server = desk.serve(&bus).await;
    let client = RpcClient::new(&other, Target::topic("desk")).timeout(ARRIVE);
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.call::<()>(&Context::new(), "wait", &()).await })
        })
        .collect();
    until("every handler to be busy", async || desk.begun() == CONCURRENCY).await;
    stage.close_connections("all out").await;
    desk.gate.add_permits(CALLS);
    let mut failed = Vec::new();
    for call in calls {
        failed.extend(within(ARRIVE * 2, "a call", call).await.expect("no panic").err());
    }
    // What was on its way to the server when it was cut comes again or has run; no caller is left without its answer.
    assert!(failed.is_empty(), "{} of {CALLS} calls failed: {:?}", failed.len(), failed.first());
    server.shutdown(soon()).await.expect("an end");
}

/// A caller that leaves with calls in flight: its reply queue is gone, and another caller does not notice.
pub(crate) async fn a_caller_that_leaves_with_400_calls_in_flight_keeps_no_other_waiting() {
    const CALLS: usize = 400;
    let stage = Stage::shared().await;
    let (bus, other, leaving) =
        (Bus::new(stage.connect().await), Bus::new(stage.connect().await), Bus::new(stage.connect().await));
    let desk = Desk::new();
    let server = desk.serve(&bus).await;
    let client = RpcClient::new(&leaving, Target::topic("desk")).timeout(ARRIVE);
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.call::<()>(&Context::new(), "wait", &()).await })
        })
        .collect();
    until("every handler to be busy", async || desk.begun() == CONCURRENCY).await;
    leaving.close(soon()).await.expect("a close");
    for call in calls {
        drop(call.await);
    }
    desk.gate.add_permits(CALLS + 1);
    let living = RpcClient::new(&other, Target::topic("desk"));
    let began = tokio::time::Instant::now();
    living.call::<()>(&Context::new(), "wait", &()).await.expect("an answer");
    assert!(began.elapsed() < Duration::from_secs(20), "it waited {:?} for callers that are gone", began.elapsed());
    drop(server);
}
