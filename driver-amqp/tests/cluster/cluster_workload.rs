//! Two servers, a listener and a client, each on a bus of its own, and what they did.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oslo_messaging::config::TransportUrl;
use oslo_messaging::{Bus, NotificationListener, RpcServer};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use testkit::stage::{soon, unique};
use testkit::workload::history::History;
use testkit::workload::journal::{Journal, Records};
use testkit::workload::queues::{Emptied, drain};
use testkit::workload::script::{ScriptedClient, TIMEOUT};
use testkit::workload::servers::{METHOD, listen, serve, shared_queues};
use tokio::time::{Instant, sleep, timeout};

/// How long the client pauses after some of everything: enough that the machine has time for the broker.
const REST: Duration = Duration::from_millis(250);
/// How long what was confirmed may take to arrive.
const OUT: Duration = Duration::from_secs(20);

/// The servers, the listener and the client of one topic.
pub(crate) struct ClusterWorkload {
    topic: String,
    events: String,
    began: Instant,
    records: Records,
    history: Mutex<History>,
    client: ScriptedClient,
    servers: [RpcServer; 2],
    listener: NotificationListener,
    buses: Vec<Bus>,
}

impl ClusterWorkload {
    /// Connects each part to `url`; `refusing` servers refuse what the broker delivers a second time.
    pub(crate) async fn start(url: &TransportUrl, refusing: bool) -> Self {
        let mut buses = Vec::new();
        for _ in 0..3 {
            let transport = AmqpTransport::connect(url, AmqpConfig::quorum(), soon()).await.expect("a connection");
            buses.push(Bus::new(transport));
        }
        let (topic, events) = (unique("t"), unique("e"));
        let (journal, records) = Journal::in_memory();
        let one = serve(&buses[0], &topic, 0, refusing, &journal).await.expect("the first server");
        let two = serve(&buses[1], &topic, 1, refusing, &journal).await.expect("the second server");
        let listener = listen(&buses[0], &events, &journal).await.expect("the listener");
        let client = ScriptedClient::new(&buses[2], &topic, &events, METHOD, TIMEOUT, &journal);
        let history = History::new(refusing, [true; 2]);
        let (began, history) = (journal.began(), Mutex::new(history));
        Self { topic, events, began, records, history, client, servers: [one, two], listener, buses }
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
        let ended = self.history().ended.len();
        let recovered = timeout(budget, Box::pin(self.client.recovered())).await;
        recovered.unwrap_or_else(|_| panic!("{}", self.complaint(budget, ended)));
    }

    /// What has failed since `ended` operations had ended, and the health of each bus.
    fn complaint(&self, budget: Duration, ended: usize) -> String {
        let history = self.history();
        let failed: Vec<_> = history.ended[ended..].iter().filter(|ended| !ended.succeeded()).collect();
        let health: Vec<_> = self.buses.iter().map(|bus| bus.health().borrow().clone()).collect();
        format!("{} was not served within {budget:?}: {health:?}, {failed:#?}", self.topic)
    }

    /// Does what must work again, ends, and returns everything that happened and when it began. `bare` empties the queues.
    pub(crate) async fn end(self, bare: &lapin::Connection) -> (Instant, History) {
        Box::pin(self.client.afterwards()).await;
        let arriving = async {
            while !self.history().is_complete() {
                sleep(Duration::from_millis(200)).await;
            }
        };
        // The rules report what does not arrive.
        let _ = timeout(OUT, arriving).await;
        let mut history = self.history().clone();
        let [one, two] = self.servers;
        one.shutdown(soon()).await.expect("the first server ends");
        two.shutdown(soon()).await.expect("the second server ends");
        self.listener.shutdown(soon()).await.expect("the listener ends");
        for bus in &self.buses {
            bus.close(soon()).await.expect("a bus closes");
        }
        history.add_all(&self.records);
        // No order is promised of what is sent while connections are lost.
        history.ended.iter_mut().for_each(|ended| ended.place = None);
        let queues = [&shared_queues(&self.topic)[..], &[format!("{}.info", self.events)]].concat();
        let left = drain(bare, &queues, Emptied::Stays).await;
        history.left = left.into_iter().map(|number| number.expect("every message has a number")).collect();
        (self.began, history)
    }

    /// Everything so far.
    fn history(&self) -> MutexGuard<'_, History> {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.add_all(&self.records);
        history
    }
}
