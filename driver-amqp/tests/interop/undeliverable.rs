//! Requests that no queue is bound for: mandatory ones fail at once.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Bus, Context, ErrorKind, Executed, RpcClient, Target};
use serde_json::json;
use tokio::time::timeout;

use crate::budget::soon;
use crate::command::{call, cast, client};
use crate::rust_server::RustServer;
use crate::setting::Setting;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(rust_learns_at_once_that_a_topic_has_no_server),
    test!(rust_learns_at_once_that_python_has_no_such_server),
    test!(python_learns_at_once_that_rust_has_no_such_server),
];

/// Far less than a caller would wait for an answer.
const AT_ONCE: Duration = Duration::from_secs(10);

async fn assert_undeliverable(bus: &Bus, target: Target) {
    let (client, context) = (RpcClient::new(bus, target).timeout(AT_ONCE * 6), Context::new());
    let called = timeout(AT_ONCE, client.call::<()>(&context, "nothing", &())).await.expect("an error at once");
    let insisting = client.prepare().mandatory(true);
    let cast = timeout(AT_ONCE, insisting.cast(&context, "nothing", &())).await.expect("an error at once");
    for error in [called.unwrap_err(), cast.unwrap_err()] {
        assert_eq!((error.kind(), error.executed()), (ErrorKind::Undeliverable, Executed::No));
    }
    client.cast(&context, "nothing", &()).await.expect("a cast that does not insist is lost in silence");
}

async fn rust_learns_at_once_that_a_topic_has_no_server(setting: Arc<Setting>) {
    let bus = setting.bus().await;
    assert_undeliverable(&bus, Target::topic(setting.unique("undeliverable"))).await;
    bus.close(soon()).await.unwrap();
}

async fn rust_learns_at_once_that_python_has_no_such_server(setting: Arc<Setting>) {
    let bus = setting.bus().await;
    assert_undeliverable(&bus, Target::topic(setting.python_topic().await).server("unserved")).await;
    bus.close(soon()).await.unwrap();
}

async fn python_learns_at_once_that_rust_has_no_such_server(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("undeliverable"));
    let server = RustServer::start(&bus, &topic, "rust").await;
    let peer = setting.peer().await;
    let (unknown, unserved) = (format!("{topic}.unserved"), setting.unique("undeliverable"));
    for (target, routing_key) in
        [(json!({"topic": topic, "server": "unserved"}), &unknown), (json!({"topic": unserved}), &unserved)]
    {
        for command in [call(target.clone(), "nothing", json!({})), cast(target, "nothing", json!({}))] {
            let insisting = client(command, "at_least_once", true);
            let error = timeout(AT_ONCE, peer.error(insisting)).await.expect("an error at once");
            assert_eq!((&error["class"], &error["routing_key"]), (&json!("MessageUndeliverable"), &json!(routing_key)));
        }
    }
    let insisting = client(call(json!({"topic": topic}), "whoami", json!({})), "at_least_once", true);
    assert_eq!(peer.ok(insisting).await, "rust");
    server.stop().await;
    bus.close(soon()).await.unwrap();
}
