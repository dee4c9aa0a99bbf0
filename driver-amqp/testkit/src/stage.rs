//! What every case needs: a virtual host of its own, transports, messages, and budgets.

use std::fmt::Debug;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use oslo_messaging::config::TransportUrl;
use oslo_messaging::driver::{
    Address, IncomingMessage, Listener, Message, PublishOptions, Source, Subscription, Transport,
};
use oslo_messaging::{Deadline, Error, Result, State};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use tokio::runtime::Builder;
use tokio::time::timeout;
use uuid::Uuid;
use xtask::broker::AttachedNode;

pub use crate::borrowed_node::BorrowedNode;

/// For what must happen. It ends early, so it is generous.
pub const ARRIVE: Duration = Duration::from_secs(30);
/// For silence that must hold.
pub const QUIET: Duration = Duration::from_millis(300);
/// How far past its deadline an operation may end: ten times what is promised, for a machine under load.
pub const SLACK: Duration = Duration::from_secs(1);
/// How many virtual hosts are made together: making one takes hardly less time.
const AT_ONCE: usize = 8;
/// Far over what any case needs, so that a case that hangs fails alone.
const LIMIT: Duration = Duration::from_secs(180);

/// A virtual host of its own.
#[derive(Debug, Clone)]
pub struct Stage {
    pub node: AttachedNode,
    pub vhost: String,
}

/// Held for reading by every case, and for writing by one that must be alone in the process.
static COMPANY: RwLock<()> = RwLock::new(());

/// Runs one case on a runtime of its own.
pub fn run(case: impl Future<Output = ()>) {
    let _company = COMPANY.read().unwrap_or_else(PoisonError::into_inner);
    block_on(LIMIT, case);
}

/// Runs one case while no other runs.
pub fn run_alone(case: impl Future<Output = ()>) {
    run_alone_within(LIMIT, case);
}

/// As [`run_alone`], for a case that takes long.
pub fn run_alone_within(limit: Duration, case: impl Future<Output = ()>) {
    let _company = COMPANY.write().unwrap_or_else(PoisonError::into_inner);
    block_on(limit, case);
}

fn block_on(limit: Duration, case: impl Future<Output = ()>) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(within(limit, "the case", case));
}

impl Stage {
    /// On the node that all cases share.
    pub async fn shared() -> Self {
        /// Those that were made and are not used yet.
        static SPARE: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let node = AttachedNode::from_env().expect("a node");
        blocking(|| {
            let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
            if spare.is_empty() {
                let vhosts: Vec<_> = (0..AT_ONCE).map(|_| unique("v")).collect();
                node.add_vhosts(&vhosts).expect("virtual hosts");
                *spare = vhosts;
            }
            Self { vhost: spare.pop().expect("there is one"), node }
        })
        .await
    }

    /// On a borrowed node, which may be hurt.
    pub async fn own() -> (BorrowedNode, Self) {
        let node = blocking(BorrowedNode::take).await;
        let stage = Self::on(node.attached().clone()).await;
        (node, stage)
    }

    /// On `node`.
    pub async fn on(node: AttachedNode) -> Self {
        let stage = Self { node, vhost: unique("v") };
        stage.control(|stage| stage.node.add_vhost(&stage.vhost).expect("a virtual host")).await;
        stage
    }

    /// Runs `act`, which blocks, on another thread.
    pub async fn control<T: Send + 'static>(&self, act: impl FnOnce(&Self) -> T + Send + 'static) -> T {
        let stage = self.clone();
        blocking(move || act(&stage)).await
    }

    pub fn url(&self) -> TransportUrl {
        url(&self.node.url_as("guest", "guest", &self.vhost))
    }

    pub async fn connect(&self) -> AmqpTransport {
        self.connect_with(AmqpConfig::default()).await
    }

    pub async fn connect_with(&self, config: AmqpConfig) -> AmqpTransport {
        AmqpTransport::connect(&self.url(), config, soon()).await.expect("a connection")
    }

    /// Has the broker close every connection to this virtual host.
    pub async fn close_connections(&self, reason: &'static str) {
        let close = move |stage: &Self| {
            let arguments = ["close_all_connections", "--vhost", &stage.vhost, reason];
            stage.node.rabbitmqctl(&arguments).expect("they are closed");
        };
        self.control(close).await;
    }

    /// The names of the queues that are there.
    /// The process ids that the broker has for the connections to it, in no order.
    pub async fn connections(&self) -> Vec<String> {
        let listed = self.control(|stage| stage.node.rabbitmqctl(&["list_connections", "pid"])).await;
        let lines = listed.expect("they are listed");
        // A process id of Erlang; the first line is a heading.
        lines.lines().map(str::trim).filter(|line| line.starts_with('<')).map(str::to_owned).collect()
    }

    pub async fn queue_names(&self) -> Vec<String> {
        let name =
            |queue: &serde_json::Map<String, serde_json::Value>| queue["name"].as_str().expect("a name").to_owned();
        let list = |stage: &Self| stage.node.queues(&stage.vhost).expect("the queues");
        let mut names: Vec<_> = self.control(list).await.iter().map(name).collect();
        names.sort();
        names
    }

    /// A bare client, which sees what is on the wire.
    pub async fn bare(&self) -> lapin::Connection {
        let url = format!("amqp://guest:guest@127.0.0.1:{}/{}", self.node.port(), self.vhost);
        within(ARRIVE, "connect", lapin::Connection::connect(&url, lapin::ConnectionProperties::default()))
            .await
            .expect("a bare connection")
    }
}

pub async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(act).await.expect("it does not panic")
}

pub fn unique(what: &str) -> String {
    format!("{what}-{}", Uuid::new_v4().simple())
}

pub fn url(text: &str) -> TransportUrl {
    TransportUrl::parse(text).expect("a URL")
}

pub fn soon() -> Deadline {
    Deadline::after(ARRIVE)
}

pub fn options() -> PublishOptions {
    PublishOptions::by(soon())
}

pub fn topic(topic: &str) -> Address {
    Address::Topic { exchange: unique_exchange(topic), topic: topic.to_owned() }
}

pub fn fanout(topic: &str) -> Address {
    Address::Fanout { topic: topic.to_owned() }
}

pub fn server(topic: &str) -> Subscription {
    let (exchange, topic) = (unique_exchange(topic), topic.to_owned());
    Subscription::new(Source::Server { exchange, topic, server: "host-1".into() })
}

fn unique_exchange(topic: &str) -> String {
    format!("x-{topic}")
}

pub fn all() -> NonZeroUsize {
    NonZeroUsize::new(10_000).expect("it is not zero")
}

pub fn only(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("it is not zero")
}

/// `future` must end within `budget`.
pub async fn within<T>(budget: Duration, what: &str, future: impl Future<Output = T>) -> T {
    let Ok(output) = timeout(budget, future).await else { panic!("{what} did not end within {budget:?}") };
    output
}

/// Waits until `condition` holds, looking often.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let looking = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(ARRIVE, what, looking).await;
}

/// Polls until `count` messages are here.
pub async fn take(listener: &mut dyn Listener, count: usize) -> Vec<Box<dyn IncomingMessage>> {
    let mut taken = Vec::new();
    let polling = async {
        while taken.len() < count {
            taken.extend(listener.poll(all()).await.expect("messages").expect("not the end"));
        }
    };
    within(ARRIVE, "polling", polling).await;
    taken
}

/// What comes until `after` does, all of it acknowledged: what is not comes once more.
pub async fn take_until_after(listener: &mut dyn Listener) -> Vec<String> {
    let mut arrived: Vec<String> = Vec::new();
    while arrived.last().is_none_or(|last| last != "after") {
        for message in take(listener, 1).await {
            arrived.push(text(message.as_ref()));
            message.acknowledge().await.expect("an acknowledgement");
        }
    }
    arrived
}

/// Waits until `transport` has been connected again `times` times, and works.
pub async fn back(transport: &AmqpTransport, times: u64) {
    until("the connection to be made again", async || transport.counters().reconnects >= times).await;
    let mut health = transport.health();
    within(ARRIVE, "getting ready", health.wait_for(|health| health.state == State::Ready)).await.expect("a state");
}

pub async fn assert_quiet(listener: &mut dyn Listener) {
    let polled = timeout(QUIET, listener.poll(all())).await;
    assert!(polled.is_err(), "nothing should come, but {polled:?} did");
}

pub fn text(message: &dyn IncomingMessage) -> String {
    String::from_utf8(message.message().body.to_vec()).expect("text")
}

pub fn texts(messages: &[Box<dyn IncomingMessage>]) -> Vec<String> {
    messages.iter().map(|message| text(message.as_ref())).collect()
}

pub async fn subscribe(transport: &AmqpTransport, subscription: &Subscription) -> Box<dyn Listener> {
    transport.subscribe(subscription, soon()).await.expect("a listener")
}

pub async fn publish(transport: &AmqpTransport, to: &Address, body: &str) -> Result<()> {
    transport.publish(to, Message::new(body.to_owned()), &options()).await
}

/// The error of something that must fail.
pub fn refusal<T: Debug>(outcome: Result<T>) -> Error {
    match outcome {
        Err(error) => error,
        Ok(value) => panic!("it should be refused, and was {value:?}"),
    }
}

/// Waits until the broker counts `count` messages that it handed over and that are not settled.
pub async fn handed_over(stage: &Stage, count: usize) {
    until("the broker's count of unsettled messages", async || {
        stage
            .control(|stage| {
                let arguments = ["list_queues", "-p", &stage.vhost, "--no-table-headers", "messages_unacknowledged"];
                stage.node.rabbitmqctl(&arguments).expect("a list")
            })
            .await
            .trim()
            == count.to_string()
    })
    .await;
}
