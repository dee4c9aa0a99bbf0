//! A server and a listener with a direct connection, and a client behind a relay.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use oslo_messaging::notify::MessagingSink;
use oslo_messaging::{
    Bus, Context, Endpoint, Event, NotificationEndpoint, NotificationListener, Notifier, Priority, Result, RpcClient,
    RpcServer, Target,
};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, Semaphore};

use testkit::proxy::Proxy;
use testkit::stage::{ARRIVE, Stage, soon, url, within};

const TOPIC: &str = "workload";
const EVENTS: &str = "events";

/// What a request or an event says.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Work {
    number: u32,
}

pub(crate) struct Workload {
    pub(crate) stage: Stage,
    pub(crate) relay: Proxy,
    /// The client's.
    pub(crate) transport: Arc<AmqpTransport>,
    pub(crate) bus: Bus,
    /// One permit for each request that has reached the method `wait`.
    pub(crate) waiting: Arc<Semaphore>,
    /// One permit lets one of them go on.
    pub(crate) release: Arc<Semaphore>,
    /// The server's and the listener's.
    pub(crate) serving: Bus,
    server: RpcServer,
    listener: NotificationListener,
    heard: Mutex<UnboundedReceiver<u32>>,
    /// How many rounds of `works` there were.
    rounds: AtomicU32,
}

impl Workload {
    /// On a virtual host of its own; the client connects with `query`.
    pub(crate) async fn open(query: &str) -> Self {
        let stage = Stage::shared().await;
        let address = stage.url();
        Self::with(stage, "guest", "guest", query, &address).await
    }

    /// The client is `user`, and so are the others, at `address`.
    pub(crate) async fn with(
        stage: Stage,
        user: &str,
        password: &str,
        query: &str,
        address: &oslo_messaging::config::TransportUrl,
    ) -> Self {
        let workload = Self::set_up(stage, user, password, query, address).await;
        workload.works().await;
        workload
    }

    /// The same, on a broker on which nothing need work yet.
    pub(crate) async fn set_up(
        stage: Stage,
        user: &str,
        password: &str,
        query: &str,
        address: &oslo_messaging::config::TransportUrl,
    ) -> Self {
        let serving = AmqpTransport::connect(address, AmqpConfig::default(), soon()).await.expect("a connection");
        let serving = Bus::new(serving);
        let (waiting, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let gates = (Arc::clone(&waiting), Arc::clone(&release));
        let endpoint = Endpoint::new(gates)
            .method("echo", async |_: Arc<(Arc<Semaphore>, Arc<Semaphore>)>, _: Context, work: Work| {
                Ok::<_, Infallible>(work.number)
            })
            .method("wait", async |gates: Arc<(Arc<Semaphore>, Arc<Semaphore>)>, _: Context, work: Work| {
                gates.0.add_permits(1);
                gates.1.acquire().await.expect("it is not closed").forget();
                Ok::<_, Infallible>(work.number)
            });
        let server = RpcServer::builder(&serving, Target::topic(TOPIC).server("one")).endpoint(endpoint);
        let (to, heard) = unbounded_channel();
        let endpoint = NotificationEndpoint::new(to).on(
            Priority::Info,
            "*",
            async |to: Arc<UnboundedSender<u32>>, event: Event<Work>| {
                let _ = to.send(event.payload.number);
                Ok::<_, Infallible>(())
            },
        );
        let listener = NotificationListener::builder(&serving).target(Target::topic(EVENTS)).endpoint(endpoint);
        let server = server.start(soon()).await.expect("the queues are new");
        let listener = listener.start(soon()).await.expect("the queue is new");

        let relay = Proxy::to(stage.node.port()).await;
        let own = url(&format!("rabbit://{user}:{password}@127.0.0.1:{}/{}{query}", relay.port(), stage.vhost));
        let transport = AmqpTransport::connect(&own, AmqpConfig::default(), soon()).await.expect("a connection");
        let transport = Arc::new(transport);
        let bus = Bus::new(Arc::clone(&transport));
        let heard = Mutex::new(heard);
        Self {
            stage,
            relay,
            transport,
            bus,
            waiting,
            release,
            serving,
            server,
            listener,
            heard,
            rounds: AtomicU32::new(0),
        }
    }

    /// Calls a method that answers with its number.
    pub(crate) async fn call(&self, number: u32, timeout: Duration) -> Result<()> {
        self.call_method("echo", number, timeout).await
    }

    /// Calls a method that answers once it is released.
    pub(crate) async fn call_waiting(&self, number: u32, timeout: Duration) -> Result<()> {
        self.call_method("wait", number, timeout).await
    }

    async fn call_method(&self, method: &str, number: u32, timeout: Duration) -> Result<()> {
        let client = RpcClient::new(&self.bus, Target::topic(TOPIC)).timeout(timeout);
        let answer: u32 = client.call(&Context::new(), method, &Work { number }).await?;
        assert_eq!(answer, number, "the answer of another call");
        Ok(())
    }

    /// Publishes an event.
    pub(crate) async fn notify(&self, number: u32, timeout: Duration) -> Result<()> {
        let notifier = Notifier::from_sink("workload", MessagingSink::new(&self.bus).topics([EVENTS])).timeout(timeout);
        notifier.info(&Context::new(), "work", &Work { number }).await
    }

    /// A hundred calls in a row are answered, and each of a hundred events is heard.
    pub(crate) async fn works(&self) {
        let mut heard = self.heard.lock().await;
        // Events of a fault, or of the round before, may still arrive; their numbers distinguish these.
        let first = 1_000 * (1 + self.rounds.fetch_add(1, Ordering::Relaxed));
        let mut missing: BTreeSet<u32> = (first..first + 100).collect();
        for &number in &missing {
            self.call(number, ARRIVE).await.expect("an answer");
            self.notify(number, ARRIVE).await.expect("it is confirmed");
        }
        while !missing.is_empty() {
            let next = within(ARRIVE, &format!("hearing {missing:?}"), heard.recv()).await;
            missing.remove(&next.expect("the listener runs"));
        }
    }

    /// Ends each part, which must succeed.
    pub(crate) async fn close(self) {
        self.server.shutdown(soon()).await.expect("the broker answers");
        self.listener.shutdown(soon()).await.expect("the broker answers");
        for bus in [self.bus, self.serving] {
            bus.close(soon()).await.expect("the broker answers");
        }
    }
}
