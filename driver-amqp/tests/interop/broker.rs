//! Faults of the broker between Rust and Python: servers, clients and listeners of either kind recover afterwards.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Bus, Context, NotificationListener, RpcClient, State, Target};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use xtask::broker::{AttachedNode, Node};
use xtask::fault_duration::fault_duration;

use crate::budget::{ARRIVE, soon};
use crate::command::{call, client, with};
use crate::ear::{Heard, PythonListener, notifier, payloads, started};
use crate::peer::Peer;
use crate::python_server::PythonServer;
use crate::rust_server::RustServer;
use crate::setting::{Setting, transport};
use crate::topology::ask;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(both_ways_everything_goes_on_after_a_node_was_killed),
    test!(both_ways_everything_goes_on_after_an_orderly_restart),
    test!(both_ways_everything_goes_on_after_a_node_stood_still),
    test!(both_ways_everything_goes_on_after_connections_were_closed),
    test!(both_ways_everything_goes_on_after_queues_were_deleted_under_their_consumers),
];

/// Queues outlive the node, and what is silent is given up after some seconds on both sides.
const OPTIONS: &str = "amqp_durable_queues=true&heartbeat_timeout_threshold=4";
/// Longer than twice that.
const STANDSTILL: Duration = Duration::from_secs(9);
/// How long everything may take to work again: the reference waits longer between its tries than we do.
const RECOVERY: Duration = Duration::from_secs(60);
/// How much must succeed in a row, of calls and of events, both ways.
const IN_A_ROW: u64 = 100;
/// How long what is begun while there is no broker may take.
const PATIENT: u64 = 90;
/// How often it is looked whether something has come.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// The topics of the servers and the listeners.
const TO_RUST: &str = "to_rust";
const TO_PYTHON: &str = "to_python";
const EVENTS_TO_RUST: &str = "events_to_rust";
const EVENTS_TO_PYTHON: &str = "events_to_python";

async fn both_ways_everything_goes_on_after_a_node_was_killed(setting: Arc<Setting>) {
    let mut node = own_node().await;
    let url = url(node.attached(), "");
    let peer = setting.peer_at(&url);
    let mut company = Company::meet(&peer, &url).await;
    node = blocking(move || {
        node.kill().expect("it is dead");
        node
    })
    .await;
    company.misses_the_broker().await;
    let restarting = blocking(move || {
        node.restart().expect("it is back");
        node
    });
    let ((), _node) = tokio::join!(company.is_patient(), restarting);
    company.works().await;
    company.part().await;
}

async fn both_ways_everything_goes_on_after_an_orderly_restart(setting: Arc<Setting>) {
    let node = own_node().await;
    let url = url(node.attached(), "");
    let peer = setting.peer_at(&url);
    let mut company = Company::meet(&peer, &url).await;
    control(node.attached(), &["stop_app"]).await;
    company.misses_the_broker().await;
    tokio::join!(company.is_patient(), control(node.attached(), &["start_app"]));
    company.works().await;
    company.part().await;
}

async fn both_ways_everything_goes_on_after_a_node_stood_still(setting: Arc<Setting>) {
    let node = own_node().await;
    let url = url(node.attached(), "");
    let peer = setting.peer_at(&url);
    let mut company = Company::meet(&peer, &url).await;
    let attached = node.attached().clone();
    let frozen = blocking(move || attached.pause().expect("it is frozen")).await;
    sleep(fault_duration(STANDSTILL)).await;
    drop(frozen);
    company.works().await;
    company.part().await;
}

async fn both_ways_everything_goes_on_after_connections_were_closed(setting: Arc<Setting>) {
    in_a_virtual_host(&setting, async |node, vhost| {
        control(node, &["close_all_connections", "--vhost", vhost, "maintenance"]).await;
    })
    .await;
}

async fn both_ways_everything_goes_on_after_queues_were_deleted_under_their_consumers(setting: Arc<Setting>) {
    in_a_virtual_host(&setting, async |node, vhost| {
        for queue in [TO_RUST, TO_PYTHON, "events_to_rust.info", "events_to_python.info"] {
            control(node, &["delete_queue", "--vhost", vhost, queue]).await;
        }
    })
    .await;
}

/// Does `hurt` to a virtual host of the node that tests share.
async fn in_a_virtual_host(setting: &Setting, hurt: impl AsyncFnOnce(&AttachedNode, &str)) {
    let node = AttachedNode::from_env().expect("the node was exported with its URL");
    let vhost = setting.unique("broker");
    ask(&node, &vhost, AttachedNode::add_vhost).await;
    let url = url(&node, &vhost);
    let peer = setting.peer_at(&url);
    let mut company = Company::meet(&peer, &url).await;
    hurt(&node, &vhost).await;
    company.works().await;
    company.part().await;
    ask(&node, &vhost, AttachedNode::delete_vhost).await;
}

/// A server, a client and a listener of either kind.
struct Company<'a> {
    bus: Bus,
    peer: &'a Peer,
    rust: RustServer,
    python: PythonServer<'a>,
    rust_listener: NotificationListener,
    heard: Heard,
    python_listener: PythonListener<'a>,
    /// The number of the next event.
    next: u64,
}

impl<'a> Company<'a> {
    async fn meet(peer: &'a Peer, url: &str) -> Self {
        let bus = Bus::new(transport(url).await);
        let rust = RustServer::start(&bus, TO_RUST, "rust").await;
        let python = PythonServer::start(peer, TO_PYTHON, "python").await;
        let (rust_listener, heard) = started(&bus, EVENTS_TO_RUST).await;
        let python_listener = PythonListener::start(peer, EVENTS_TO_PYTHON, json!({})).await;
        let mut company = Self { bus, peer, rust, python, rust_listener, heard, python_listener, next: 0 };
        company.in_a_row(3).await;
        company
    }

    /// Waits until Rust knows that the broker is gone: what it sends before that is lost with the connection.
    async fn misses_the_broker(&self) {
        let mut health = self.bus.health();
        let missed = health.wait_for(|health| matches!(health.state, State::Lost { .. }));
        timeout(ARRIVE, missed).await.expect("the loss is seen").expect("the bus is there");
    }

    /// What is begun while there is no broker is done when it is back: calls both ways are answered, and an event arrives.
    async fn is_patient(&mut self) {
        let patient = call(json!({"topic": TO_RUST}), "echo", json!({"arg": "patient"}));
        let patient = client(patient, "timeout", PATIENT);
        let event = self.next;
        self.next += 1;
        let (to_python, to_rust, ()) = tokio::join!(
            self.call("patient", Duration::from_secs(PATIENT)),
            self.peer.request(patient),
            self.tell(event, Duration::from_secs(PATIENT)),
        );
        assert_eq!(to_python.expect("the broker is back in time"), "patient");
        assert_eq!(to_rust["ok"], "patient", "{to_rust}");
    }

    /// Waits until each way works, and asserts that it goes on to.
    async fn works(&mut self) {
        let working = async {
            while self.call("again", Duration::from_secs(2)).await.is_err() {}
            let again = client(call(json!({"topic": TO_RUST}), "echo", json!({"arg": "again"})), "timeout", 2);
            while self.peer.request(again.clone()).await.get("ok").is_none() {}
        };
        timeout(RECOVERY, working).await.expect("both ways work again");
        self.in_a_row(IN_A_ROW).await;
    }

    /// So many calls and events each way.
    async fn in_a_row(&mut self, count: u64) {
        for number in 0..count {
            assert_eq!(self.call(number, ARRIVE).await.expect("an answer from Python"), number);
            let answer = self.peer.ok(call(json!({"topic": TO_RUST}), "echo", json!({"arg": number}))).await;
            assert_eq!(answer, number, "an answer from Rust");
        }
        let events = self.next..self.next + count;
        let request = json!({"do": "notify", "topic": EVENTS_TO_RUST, "driver": "messagingv2", "event_type": "e"});
        // A pooled connection of the reference may have ended unseen; one try would lose the event in silence.
        let request = with(with(request, "retry", json!(5)), "payloads", payloads(events.clone()).into());
        self.peer.ok(request).await;
        for number in events.clone() {
            self.tell(number, ARRIVE).await;
        }
        let mut heard = Vec::new();
        while heard.last() != events.clone().last().as_ref() {
            heard.push(self.heard.numbers(1).await[0]);
        }
        heard.retain(|number| events.contains(number));
        assert_eq!(heard, events.clone().collect::<Vec<_>>(), "what Rust heard");
        self.next = events.end;
        self.python_heard_all().await;
    }

    /// Everything that was confirmed to Rust is heard by Python; what comes twice counts once.
    async fn python_heard_all(&self) {
        let mut missing = Vec::new();
        let listening = async {
            loop {
                let heard = self.python_listener.kept(0, Duration::ZERO).await;
                missing = (0..self.next).filter(|number| !heard.contains(number)).collect();
                if missing.is_empty() {
                    return;
                }
                sleep(LOOK_AGAIN).await;
            }
        };
        let heard = timeout(ARRIVE, listening).await;
        assert!(heard.is_ok(), "confirmed, and not heard by Python: {missing:?}");
    }

    async fn call(&self, argument: impl serde::Serialize, patience: Duration) -> oslo_messaging::Result<Value> {
        let client = RpcClient::new(&self.bus, Target::topic(TO_PYTHON)).timeout(patience);
        client.call(&Context::new(), "echo", &json!({"arg": argument})).await
    }

    async fn tell(&self, number: u64, patience: Duration) {
        let notifier = notifier(&self.bus, EVENTS_TO_PYTHON).timeout(patience);
        notifier.info(&Context::new(), "e", &json!({"n": number})).await.expect("it is confirmed");
    }

    async fn part(self) {
        self.python_listener.stop().await;
        self.rust_listener.shutdown(soon()).await.unwrap();
        self.python.stop().await;
        self.rust.stop().await;
        self.peer.quit().await;
        self.bus.close(soon()).await.unwrap();
    }
}

fn url(node: &AttachedNode, vhost: &str) -> String {
    format!("{}?{OPTIONS}", node.url_as("guest", "guest", vhost))
}

async fn own_node() -> Node {
    blocking(|| Node::start().expect("a node")).await
}

async fn control(node: &AttachedNode, arguments: &[&str]) {
    let (node, arguments) = (node.clone(), arguments.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
    blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        node.rabbitmqctl(&arguments).expect("rabbitmqctl does it")
    })
    .await;
}

async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(act).await.expect("it does not panic")
}
