//! Two servers, a listener and a client, each on a bus of its own, and what they did.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::options::BasicGetOptions;
use oslo_messaging::{Bus, NotificationListener, RpcServer, TransportUrl};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use testkit::stage::{ARRIVE, soon, unique, within};
use testkit::workload::client::{Client, PATIENCE};
use testkit::workload::history::History;
use testkit::workload::servers::{self, Log, METHOD};
use testkit::workload::tally::succeeded;

/// How long a client rests after some of everything: enough that the machine has time for the broker.
const REST: Duration = Duration::from_millis(250);
/// How long what was confirmed may take to come out.
const OUT: Duration = Duration::from_secs(20);

/// Everybody who works on one topic.
pub(crate) struct Troupe {
    /// Whether its servers refuse what the broker hands over a second time.
    refusing: bool,
    topic: String,
    events: String,
    log: Arc<Log>,
    client: Client,
    servers: [RpcServer; 2],
    listener: NotificationListener,
    buses: Vec<Bus>,
}

impl Troupe {
    /// Has everybody connect to `url` and start.
    pub(crate) async fn start(url: &TransportUrl, refusing: bool) -> Self {
        let mut buses = Vec::new();
        for _ in 0..3 {
            let transport = AmqpTransport::connect(url, AmqpConfig::quorum(), soon()).await.expect("a connection");
            buses.push(Bus::new(transport));
        }
        let (topic, events, log) = (unique("t"), unique("e"), Arc::new(Log::default()));
        let serve =
            async |index: usize| servers::serve(&buses[index], &topic, index, refusing, &log).await.expect("a server");
        let servers = [serve(0).await, serve(1).await];
        let listener = servers::listen(&buses[0], &events, &log).await.expect("the listener");
        let client = Client::new(&buses[2], &topic, &events, METHOD, PATIENCE);
        Self { refusing, topic, events, log, client, servers, listener, buses }
    }

    /// The queue whose leader is worth killing.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// Does some of everything, again and again, until `done`.
    pub(crate) async fn work(&self, done: &AtomicBool) {
        while !done.load(Ordering::Acquire) {
            Box::pin(self.client.during()).await;
            sleep(REST).await;
        }
    }

    /// Tries until everything works, which it must within `budget`.
    pub(crate) async fn recovered(&self, budget: Duration) {
        let tried = self.client.ended().len();
        let recovered = timeout(budget, Box::pin(self.client.recovered())).await;
        recovered.unwrap_or_else(|_| panic!("{}", self.complaint(budget, tried)));
    }

    /// What does not work, and how everybody is. What had ended when `tried` things had is not meant.
    fn complaint(&self, budget: Duration, tried: usize) -> String {
        let ended = self.client.ended();
        let failed: Vec<_> =
            ended[tried..].iter().filter(|ended| !succeeded(ended)).map(|e| (e.phase, &e.told)).collect();
        let health: Vec<_> = self.buses.iter().map(|bus| bus.health().borrow().clone()).collect();
        format!("{} was not served within {budget:?}: {health:?}, {failed:#?}", self.topic)
    }

    /// Does what must work again, ends, and tells everything that happened. `bare` looks into what is left in queues.
    pub(crate) async fn end(self, bare: &lapin::Connection) -> History {
        Box::pin(self.client.afterwards()).await;
        let hurt =
            History { refusing: self.refusing, client_hurt: true, servers_hurt: [true; 2], ..History::default() };
        let look = || History {
            ended: self.client.ended().into_iter().map(unordered).collect(),
            methods: self.log.methods(),
            events: self.log.events(),
            ..hurt.clone()
        };
        let coming_out = async {
            while !look().is_complete() {
                sleep(Duration::from_millis(200)).await;
            }
        };
        // What does not come out is told by the rules.
        let _ = timeout(OUT, coming_out).await;
        let [one, two] = self.servers;
        one.wait(soon()).await.expect("the first server ends");
        two.wait(soon()).await.expect("the second server ends");
        self.listener.wait(soon()).await.expect("the listener ends");
        for bus in &self.buses {
            bus.close(soon()).await.expect("a bus closes");
        }
        let left = left(bare, &self.topic, &self.events).await;
        History {
            ended: self.client.ended().into_iter().map(unordered).collect(),
            methods: self.log.methods(),
            events: self.log.events(),
            left,
            ..hurt
        }
    }
}

/// No order is promised of what is sent while connections are lost.
fn unordered(ended: testkit::workload::history::Ended) -> testkit::workload::history::Ended {
    testkit::workload::history::Ended { sequence: None, ..ended }
}

/// The numbers of what lies in the queues that outlive their readers.
async fn left(bare: &lapin::Connection, topic: &str, events: &str) -> Vec<u32> {
    let looking = async {
        let channel = bare.create_channel().await?;
        let mut numbers = Vec::new();
        let queues = [topic.to_owned(), format!("{topic}.s0"), format!("{topic}.s1"), format!("{events}.info")];
        for queue in queues {
            while let Some(message) = channel.basic_get(queue.as_str().into(), BasicGetOptions { no_ack: true }).await?
            {
                numbers.push(number(&message.delivery.data).expect("what was sent has a number"));
            }
        }
        channel.close(200, "done".into()).await?;
        Ok::<_, lapin::Error>(numbers)
    };
    within(ARRIVE, "looking into the queues", looking).await.expect("they are there")
}

fn number(body: &[u8]) -> Option<u32> {
    let envelope: Value = serde_json::from_slice(body).ok()?;
    let message: Value = serde_json::from_str(envelope["oslo.message"].as_str()?).ok()?;
    let of = |part: &str| message[part]["number"].as_u64();
    u32::try_from(of("args").or_else(|| of("payload"))?).ok()
}
