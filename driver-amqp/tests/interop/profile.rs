//! Both sides with the same options in the same URL: durable queues, quorum queues, TLS.

#[path = "../live/tls/papers.rs"]
#[allow(dead_code, reason = "the tests of TLS alone need more of it")]
mod papers;

use std::net::TcpListener;
use std::sync::Arc;

use oslo_messaging::{Bus, Context, Priority};
use serde_json::{Value, json};
use xtask::broker::{AttachedNode, Node, Release, Settings};

use crate::budget::soon;
use crate::ear::{PythonListener, notifier, number, payloads, started};
use crate::python_server::PythonServer;
use crate::rust_server::RustServer;
use crate::setting::{Setting, transport};
use crate::topology::{TOPIC, ask, use_everything};
use crate::{Test, test};
use papers::{Papers, Validity};

pub(crate) const TESTS: &[Test] = &[
    test!(both_sides_agree_on_durable_queues),
    test!(both_sides_agree_on_quorum_queues),
    test!(both_sides_agree_on_quorum_queues_with_a_delivery_limit),
    test!(both_sides_meet_inside_of_tls),
    test!(ours_without_options_meets_python_where_transient_queues_are_denied),
];

async fn both_sides_agree_on_durable_queues(setting: Arc<Setting>) {
    let queues = in_a_virtual_host(&setting, "amqp_durable_queues=true").await;
    assert_shared(&queues, &json!({}));
}

async fn both_sides_agree_on_quorum_queues(setting: Arc<Setting>) {
    let queues = in_a_virtual_host(&setting, "rabbit_quorum_queue=true&rabbit_transient_quorum_queue=true").await;
    assert_shared(&queues, &json!({"x-queue-type": "quorum"}));
    for queue in queues.iter().filter(|queue| is_private(queue)) {
        assert_eq!(queue[2]["x-queue-type"], "quorum", "{queue}");
    }
}

async fn both_sides_agree_on_quorum_queues_with_a_delivery_limit(setting: Arc<Setting>) {
    let queues = in_a_virtual_host(&setting, "rabbit_quorum_queue=true&rabbit_quorum_delivery_limit=7").await;
    assert_shared(&queues, &json!({"x-queue-type": "quorum", "x-delivery-limit": 7}));
}

async fn both_sides_meet_inside_of_tls(setting: Arc<Setting>) {
    let papers = Papers::new(&setting.unique("interop"));
    papers.issue(Validity::Now);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings =
        Settings { configuration: papers.configuration(port), plugins: vec!["rabbitmq_auth_mechanism_ssl".to_owned()] };
    let node = tokio::task::spawn_blocking(move || Node::start_with(&settings)).await.unwrap().expect("a node");
    let authority = papers.authority();
    let url = format!("rabbit://guest:guest@localhost:{port}/?ssl=true&ssl_ca_file={}", authority.display());
    meet(&setting, &url, &url).await;
    drop(node);
}

/// Python needs options there; ours asks the broker, and declares what Python does with them.
async fn ours_without_options_meets_python_where_transient_queues_are_denied(setting: Arc<Setting>) {
    let node = AttachedNode::from_env().expect("the node was exported with its URL");
    let vhost = setting.unique("denied");
    ask(&node, &vhost, AttachedNode::add_vhost).await;
    let url = node.url_as("guest", "guest", &vhost);
    meet(&setting, &url, &Release::V4_3Denied.reference_url(&url)).await;
    ask(&node, &vhost, AttachedNode::delete_vhost).await;
}

/// Lets both sides meet with the options of `query`; which queues there were, each with its name, whether it is durable, and
/// its arguments.
async fn in_a_virtual_host(setting: &Setting, query: &str) -> Vec<Value> {
    let node = AttachedNode::from_env().expect("the node was exported with its URL");
    let vhost = setting.unique("profile");
    ask(&node, &vhost, AttachedNode::add_vhost).await;
    let url = format!("{}?{query}", node.url_as("guest", "guest", &vhost));
    meet(setting, &url, &url).await;
    let queues = ask(&node, &vhost, AttachedNode::queues).await;
    ask(&node, &vhost, AttachedNode::delete_vhost).await;
    let arguments = |value: &Value| -> Value {
        let each = value.as_array().into_iter().flatten();
        each.map(|argument| (argument[0].as_str().expect("a name").to_owned(), argument[2].clone())).collect()
    };
    queues.iter().map(|queue| json!([queue["name"], queue["durable"], arguments(&queue["arguments"])])).collect()
}

/// Calls, casts, fanouts and events in both directions; each side declares what the other has declared already.
async fn meet(setting: &Setting, ours: &str, pythons: &str) {
    let (bus, peer) = (Bus::new(transport(ours).await), setting.peer_at(pythons));
    let rust = RustServer::start(&bus, TOPIC, "rust").await;
    let python = PythonServer::start(&peer, TOPIC, "python").await;
    use_everything(&bus, &peer).await;
    assert_eq!((rust.recorded(2).await.len(), python.recorded(2).await.len()), (2, 2));

    let (listener, mut heard) = started(&bus, "to_rust").await;
    let told = json!({
        "do": "notify", "topic": "to_rust", "driver": "messagingv2", "event_type": "e", "payloads": payloads(0..3),
    });
    peer.ok(told).await;
    assert_eq!(heard.numbers(3).await.len(), 3);
    let python_listener = PythonListener::start(&peer, "to_python", json!({})).await;
    notifier(&bus, "to_python").info(&Context::new(), "order.created", &json!({"n": 7})).await.unwrap();
    assert_eq!(number(&python_listener.heard(1).await[0]["payload"]), 7);

    assert!(bus.health().borrow().drift.is_empty(), "{:?}", bus.health().borrow());
    python_listener.stop().await;
    listener.wait(soon()).await.unwrap();
    rust.stop().await;
    python.stop().await;
    peer.quit().await;
    bus.close(soon()).await.unwrap();
}

fn assert_shared(queues: &[Value], arguments: &Value) {
    let shared: Vec<_> = queues.iter().filter(|queue| !is_private(queue)).collect();
    // The three of the two servers, and one for each priority of two topics.
    assert_eq!(shared.len(), 3 + 2 * Priority::ALL.len(), "{queues:?}");
    for queue in shared {
        assert_eq!((&queue[1], &queue[2]), (&json!(true), arguments), "{queue}");
    }
}

fn is_private(queue: &Value) -> bool {
    let name = queue[0].as_str().expect("a name");
    name.starts_with("reply_") || name.contains("_fanout_")
}
