//! Both sides with the same options in the same URL: durable queues, quorum queues, streams, names that stay, TLS.

use std::path::Path;
use std::sync::Arc;
use std::{env, fs};

use oslo_messaging::{Bus, Context, Endpoint, ErrorKind, Priority, RpcClient, RpcServer, Target};
use serde_json::{Value, json};
use xtask::broker::{AttachedNode, Node, Release, Settings, free_ports};

use crate::budget::soon;
use crate::ear::{PythonListener, notifier, number, payloads, started};
use crate::python_server::PythonServer;
use crate::rust_server::RustServer;
use crate::setting::{Setting, transport};
use crate::topology::{TOPIC, ask, use_everything};
use crate::{Test, test};
use testkit::certificates::{Certificates, Validity};

pub(crate) const TESTS: &[Test] = &[
    test!(both_sides_agree_on_durable_queues),
    test!(both_sides_agree_on_quorum_queues),
    test!(both_sides_agree_on_quorum_queues_with_limits),
    test!(both_sides_agree_on_fanouts_over_a_stream),
    test!(both_sides_agree_on_names_that_outlive_them),
    test!(a_name_that_python_has_is_refused_and_nothing_is_taken_from_it),
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

async fn both_sides_agree_on_quorum_queues_with_limits(setting: Arc<Setting>) {
    let limits =
        "rabbit_quorum_delivery_limit=7&rabbit_quorum_max_memory_length=500&rabbit_quorum_max_memory_bytes=70000";
    let queues = in_a_virtual_host(&setting, &format!("rabbit_quorum_queue=true&{limits}")).await;
    let arguments = json!({
        "x-queue-type": "quorum", "x-delivery-limit": 7, "x-max-in-memory-length": 500, "x-max-in-memory-bytes": 70_000,
    });
    assert_shared(&queues, &arguments);
}

async fn both_sides_agree_on_fanouts_over_a_stream(setting: Arc<Setting>) {
    let options = "rabbit_transient_quorum_queue=true&rabbit_stream_fanout=true&rabbit_qos_prefetch_count=10";
    let mut queues = in_a_virtual_host(&setting, &format!("rabbit_quorum_queue=true&{options}")).await;
    let stream = queues.iter().position(|queue| queue[0] == format!("{TOPIC}_fanout")).expect("one stream");
    let arguments = json!({"x-queue-type": "stream", "x-max-age": "1800s"});
    assert_eq!(queues.remove(stream), json!([format!("{TOPIC}_fanout"), true, arguments]));
    assert!(!queues.iter().any(|queue| queue[0].as_str().is_some_and(|name| name.contains("_fanout"))), "{queues:?}");
    assert_shared(&queues, &json!({"x-queue-type": "quorum"}));
}

async fn both_sides_agree_on_names_that_outlive_them(setting: Arc<Setting>) {
    let host = setting.unique("host");
    let options = format!("rabbit_transient_quorum_queue=true&use_queue_manager=true&hostname={host}");
    let query = format!("rabbit_quorum_queue=true&{options}");
    let queues = in_a_virtual_host_twice(&setting, &query).await;
    let rust = env::current_exe().unwrap();
    let rust = rust.file_name().unwrap().to_str().unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for queue in queues.iter().filter(|queue| is_private(queue)) {
        assert_eq!((&queue[1], &queue[2]), (&json!(true), &json!({"x-queue-type": "quorum", "x-expires": 1_800_000})));
        let name = queue[0].as_str().unwrap().to_owned();
        if name.contains(rust) { ours.push(name) } else { theirs.push(name) }
    }
    ours.sort();
    // The same ones twice, and they were kept.
    assert_eq!(ours, [format!("reply_{host}:{rust}:1"), format!("{TOPIC}_fanout_{host}:{rust}:1")]);
    let of_python = |name: &String| name.contains(&format!("_{host}:peer.py:"));
    assert!(theirs.len() >= 2 && theirs.iter().all(of_python), "{theirs:?}");
    forget_counter(&host, "peer.py");
}

async fn a_name_that_python_has_is_refused_and_nothing_is_taken_from_it(setting: Arc<Setting>) {
    // Where transient queues are denied, every URL has that option already.
    let kinds = if setting.denies_transient() { &[""][..] } else { &["", "rabbit_transient_quorum_queue=true&"] };
    for kind in kinds {
        let (host, topic) = (setting.unique("host"), setting.unique("taken"));
        let options = format!("{kind}use_queue_manager=true&hostname={host}");
        let peer = setting.peer_with(&format!("{options}&processname=twin"));
        let python = PythonServer::start(&peer, &topic, "python").await;

        // It reads what it has declared a little later.
        let first = setting.bus_with(&format!("{options}&processname=first")).await;
        let fanout = RpcClient::new(&first, Target::topic(&topic)).fanout();
        fanout.cast(&Context::new(), "record", &json!({"n": 10})).await.unwrap();
        assert_eq!(python.recorded(1).await.len(), 1);
        first.close(soon()).await.unwrap();

        let quick = format!("{options}&heartbeat_timeout_threshold=1");
        let twin = setting.bus_with(&format!("{quick}&processname=twin")).await;
        let target = Target::topic(&topic).server("rust");
        let refused = RpcServer::builder(&twin, target).endpoint(Endpoint::new(())).start(soon()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Topology, "{refused}");
        let name = format!("{topic}_fanout_{host}:twin:1");
        assert!(refused.to_string().contains(&name) && refused.to_string().contains("processname"), "{refused}");
        twin.close(soon()).await.unwrap();

        // Its twin gone or not, everything is still Python's.
        let other = setting.bus_with(&format!("{options}&processname=other")).await;
        let client = RpcClient::new(&other, Target::topic(&topic)).fanout();
        for number in 0..10 {
            client.cast(&Context::new(), "record", &json!({"n": number})).await.unwrap();
        }
        assert_eq!(python.recorded(11).await.len(), 11);
        other.close(soon()).await.unwrap();
        python.stop().await;
        peer.quit().await;
        forget_counter(&host, "twin");
    }
}

async fn both_sides_meet_inside_of_tls(setting: Arc<Setting>) {
    let certificates = Certificates::new(&setting.unique("interop"));
    certificates.issue(Validity::Now);
    let [port] = free_ports().unwrap();
    let settings = Settings {
        configuration: certificates.configuration(port),
        plugins: vec!["rabbitmq_auth_mechanism_ssl".to_owned()],
    };
    let node = tokio::task::spawn_blocking(move || Node::start_with(&settings)).await.unwrap().expect("a node");
    let authority = certificates.authority();
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
    meetings(setting, query, 1).await
}

/// As [`in_a_virtual_host`], with both sides restarted, and met again.
async fn in_a_virtual_host_twice(setting: &Setting, query: &str) -> Vec<Value> {
    meetings(setting, query, 2).await
}

async fn meetings(setting: &Setting, query: &str, times: usize) -> Vec<Value> {
    let node = AttachedNode::from_env().expect("the node was exported with its URL");
    let vhost = setting.unique("profile");
    ask(&node, &vhost, AttachedNode::add_vhost).await;
    let url = format!("{}?{query}", node.url_as("guest", "guest", &vhost));
    for _ in 0..times {
        meet(setting, &url, &url).await;
    }
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
    let request = json!({
        "do": "notify", "topic": "to_rust", "driver": "messagingv2", "event_type": "e", "payloads": payloads(0..3),
    });
    peer.ok(request).await;
    assert_eq!(heard.numbers(3).await.len(), 3);
    let python_listener = PythonListener::start(&peer, "to_python", json!({})).await;
    notifier(&bus, "to_python").info(&Context::new(), "order.created", &json!({"n": 7})).await.unwrap();
    assert_eq!(number(&python_listener.heard(1).await[0]["payload"]), 7);

    assert!(bus.health().borrow().drift.is_empty(), "{:?}", bus.health().borrow());
    python_listener.stop().await;
    listener.shutdown(soon()).await.unwrap();
    rust.stop().await;
    python.stop().await;
    peer.quit().await;
    bus.close(soon()).await.unwrap();
}

fn assert_shared(queues: &[Value], arguments: &Value) {
    let is_dead = |queue: &&Value| queue[0].as_str().is_some_and(|name| name.rsplit('.').next() == Some("dead"));
    let (dead, shared): (Vec<_>, Vec<_>) = queues.iter().filter(|queue| !is_private(queue)).partition(is_dead);
    // Those of the Rust listener, which only Rust declares.
    assert_eq!(dead.len(), Priority::ALL.len(), "{queues:?}");
    assert!(dead.iter().all(|queue| queue[1] == true), "{dead:?}");
    // The three of the two servers, and one for each priority of two topics.
    assert_eq!(shared.len(), 3 + 2 * Priority::ALL.len(), "{queues:?}");
    for queue in shared {
        assert_eq!((&queue[1], &queue[2]), (&json!(true), arguments), "{queue}");
    }
}

/// Removes what Python counts a machine's processes with; the name of the machine was for one test.
fn forget_counter(host: &str, process: &str) {
    let lock = env::temp_dir().join(format!("oslo_read_shm_{host}_{process}"));
    for file in [Path::new("/dev/shm").join(format!("{host}_{process}_qmanager")), lock] {
        fs::remove_file(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

fn is_private(queue: &Value) -> bool {
    let name = queue[0].as_str().expect("a name");
    name.starts_with("reply_") || name.contains("_fanout_")
}
