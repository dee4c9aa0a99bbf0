//! A service on a sound broker, which goes on while its process meets a wrong one.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Bus, Context, Deadline, Endpoint, RpcClient, RpcServer, Target};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use testkit::stage::{Stage, soon};

/// How often it is asked.
const EVERY: Duration = Duration::from_millis(200);
/// How long one answer may take: ten times what it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many answers may be missing because of a wrong broker.
const MAY_MISS: usize = 3;

/// A server and its client.
#[derive(Debug)]
pub(crate) struct Victim {
    bus: Bus,
    server: RpcServer,
    client: RpcClient,
}

/// What came of the questions.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Probes {
    pub(crate) asked: usize,
    pub(crate) missed: usize,
}

impl Victim {
    pub(crate) async fn on(stage: &Stage) -> Self {
        let bus = Bus::new(stage.connect().await);
        let endpoint = Endpoint::new(()).method("echo", async |_: Arc<()>, _: Context, (): ()| Ok::<_, Infallible>(1));
        let server = RpcServer::builder(&bus, Target::topic("victim").server("host-1")).endpoint(endpoint);
        let server = server.start(soon()).await.expect("a server");
        let client = RpcClient::new(&bus, Target::topic("victim"));
        Self { bus, server, client }
    }

    /// Asks every 200 ms while `attack` goes on, and returns what both came to.
    pub(crate) async fn during<T>(&self, attack: impl Future<Output = T>) -> (T, Probes) {
        let (over, asking) = self.ask();
        let output = attack.await;
        let _ = over.send(());
        (output, asking.await.expect("asking does not panic"))
    }

    /// Fails if more answers are missing than may.
    pub(crate) fn judge(probes: Probes) {
        assert!(probes.asked > 0 && probes.missed <= MAY_MISS, "a sound broker's service: {probes:?}");
    }

    pub(crate) async fn end(self) {
        self.server.shutdown(soon()).await.expect("the server stops");
        self.bus.close(soon()).await.expect("the bus closes");
    }

    fn ask(&self) -> (oneshot::Sender<()>, JoinHandle<Probes>) {
        let client = self.client.prepare().timeout(PATIENCE);
        let (over, mut ended) = oneshot::channel();
        let asking = tokio::spawn(async move {
            let (mut probes, mut ticks) = (Probes::default(), interval(EVERY));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = &mut ended => return probes,
                    _ = ticks.tick() => {}
                }
                let answer: oslo_messaging::Result<i32> = client.call(&Context::new(), "echo", &()).await;
                probes.asked += 1;
                probes.missed += usize::from(answer.is_err());
            }
        });
        (over, asking)
    }
}

/// A deadline as short as a wrong broker is given.
pub(crate) fn shortly() -> Deadline {
    Deadline::after(Duration::from_secs(3))
}
