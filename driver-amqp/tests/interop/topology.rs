//! What both sides declare on one broker, exactly, in either order.

use std::fmt::Debug;
use std::sync::Arc;

use oslo_messaging::{Bus, Context, RpcClient, Target};
use serde_json::{Map, Value, json};
use xtask::broker::AttachedNode;

use crate::budget::soon;
use crate::command::{call, cast};
use crate::peer::Peer;
use crate::python_server::PythonServer;
use crate::rust_server::RustServer;
use crate::setting::{Setting, transport};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] =
    &[test!(rust_joins_what_python_has_declared), test!(python_joins_what_rust_has_declared)];

/// Where [`use_everything`] calls.
pub(crate) const TOPIC: &str = "topology";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Rust,
    Python,
}

async fn rust_joins_what_python_has_declared(setting: Arc<Setting>) {
    assert_exact(&setting, First::Python).await;
}

async fn python_joins_what_rust_has_declared(setting: Arc<Setting>) {
    assert_exact(&setting, First::Rust).await;
}

/// Has both sides do all they do, in a virtual host of their own, and compares what there is then.
async fn assert_exact(setting: &Setting, first: First) {
    let node = AttachedNode::from_env().expect("the node was exported with its URL");
    let vhost = setting.unique("topology");
    ask(&node, &vhost, AttachedNode::add_vhost).await;
    let url = node.url_as("guest", "guest", &vhost);
    let (bus, peer) = (Bus::new(transport(&url).await), setting.peer_at(&url));

    let (rust, python) = match first {
        First::Rust => {
            let rust = RustServer::start(&bus, TOPIC, "rust").await;
            (rust, PythonServer::start(&peer, TOPIC, "python").await)
        }
        First::Python => {
            let python = PythonServer::start(&peer, TOPIC, "python").await;
            (RustServer::start(&bus, TOPIC, "rust").await, python)
        }
    };
    use_everything(&bus, &peer).await;
    assert_eq!(rust.recorded(2).await.len(), 2);
    assert_eq!(python.recorded(2).await.len(), 2);

    let queues = ask(&node, &vhost, AttachedNode::queues).await;
    let queues = rows(queues, "name", &["durable", "auto_delete", "exclusive", "arguments"]);
    assert_eq!(queues, expected_queues());
    let exchanges = ask(&node, &vhost, AttachedNode::exchanges).await;
    let exchanges = rows(exchanges, "name", &["type", "durable", "auto_delete", "arguments"]);
    assert_eq!(exchanges, expected_exchanges());
    let bindings = ask(&node, &vhost, AttachedNode::bindings).await;
    assert_eq!(rows(bindings, "source_name", &["destination_name", "routing_key", "arguments"]), expected_bindings());
    assert!(bus.health().borrow().drift.is_empty(), "{:?}", bus.health().borrow());
    rust.stop().await;
    python.stop().await;
    peer.quit().await;
    bus.close(soon()).await.unwrap();
    ask(&node, &vhost, AttachedNode::delete_vhost).await;
}

/// A call and a fanout of either side, so that every queue and exchange is there.
pub(crate) async fn use_everything(bus: &Bus, peer: &Peer) {
    let client = RpcClient::new(bus, Target::topic(TOPIC));
    let context = Context::new();
    assert_eq!(client.prepare().server("python").call::<String>(&context, "whoami", &()).await.unwrap(), "python");
    client.prepare().fanout().cast(&context, "record", &json!({"n": 1})).await.unwrap();
    assert_eq!(peer.ok(call(json!({"topic": TOPIC, "server": "rust"}), "whoami", json!({}))).await, "rust");
    peer.ok(cast(json!({"topic": TOPIC, "fanout": true}), "record", json!({"n": 2}))).await;
}

/// Runs one `rabbitmqctl`, which takes seconds.
pub(crate) async fn ask<T, E>(node: &AttachedNode, vhost: &str, question: fn(&AttachedNode, &str) -> Result<T, E>) -> T
where
    T: Send + 'static,
    E: Debug + Send + 'static,
{
    let (node, vhost) = (node.clone(), vhost.to_owned());
    tokio::task::spawn_blocking(move || question(&node, &vhost)).await.unwrap().expect("rabbitmqctl answers")
}

/// `columns` of what has a name and is not the broker's own, in an order that no random name decides.
fn rows(table: Vec<Map<String, Value>>, name: &str, columns: &[&str]) -> Vec<Value> {
    let brokers_own =
        |row: &Map<String, Value>| row[name].as_str().is_none_or(|name| name.is_empty() || name.starts_with("amq."));
    let tell = |row: Map<String, Value>| {
        let columns = [&[name], columns].concat();
        Value::Array(columns.into_iter().map(|column| normalized(column, &row[column])).collect())
    };
    sorted(table.into_iter().filter(|row| !brokers_own(row)).map(tell).collect())
}

fn normalized(column: &str, value: &Value) -> Value {
    match value {
        Value::String(text) => json!(without_uuid(text)),
        // Triples of name, type and value; the broker takes an integer for an integer, however wide.
        Value::Array(arguments) if column == "arguments" => arguments
            .iter()
            .map(|argument| (argument[0].as_str().expect("a name").to_owned(), argument[2].clone()))
            .collect(),
        other => other.clone(),
    }
}

/// `name` with `*` for a UUID at its end.
fn without_uuid(name: &str) -> String {
    match name.len().checked_sub(32).and_then(|start| name.split_at_checked(start)) {
        Some((start, uuid)) if uuid.bytes().all(|byte| byte.is_ascii_hexdigit()) => format!("{start}*"),
        _ => name.to_owned(),
    }
}

fn sorted(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(Value::to_string);
    rows
}

/// Name, durable, auto-delete, exclusive, arguments. The private queues are there twice: ours survive the broker, which
/// every version of RabbitMQ accepts, and Python's do not.
fn expected_queues() -> Vec<Value> {
    let half_an_hour = json!({"x-expires": 1_800_000});
    sorted(vec![
        json!(["topology", false, false, false, {}]),
        json!(["topology.rust", false, false, false, {}]),
        json!(["topology.python", false, false, false, {}]),
        json!(["topology_fanout_*", true, false, false, half_an_hour]),
        json!(["topology_fanout_*", false, false, false, half_an_hour]),
        json!(["reply_*", true, false, false, half_an_hour]),
        json!(["reply_*", false, false, false, half_an_hour]),
    ])
}

/// Name, type, durable, auto-delete, arguments.
fn expected_exchanges() -> Vec<Value> {
    sorted(vec![json!(["openstack", "topic", false, false, {}]), json!(["topology_fanout", "fanout", false, true, {}])])
}

/// Exchange, queue, routing key, arguments; without those of the default exchange, which has one for each queue.
fn expected_bindings() -> Vec<Value> {
    sorted(vec![
        json!(["openstack", "topology", "topology", {}]),
        json!(["openstack", "topology.rust", "topology.rust", {}]),
        json!(["openstack", "topology.python", "topology.python", {}]),
        json!(["topology_fanout", "topology_fanout_*", "topology", {}]),
        json!(["topology_fanout", "topology_fanout_*", "topology", {}]),
    ])
}
