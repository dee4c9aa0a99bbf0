//! A request that comes twice, as after a lost confirm, runs once: either side knows the other's `_unique_id`.

use std::sync::Arc;

use oslo_messaging::Payload;
use oslo_messaging::wire::Request;
use serde_json::json;

use crate::budget::soon;
use crate::command::publish;
use crate::python_server::PythonServer;
use crate::rust_server::RustServer;
use crate::setting::Setting;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] =
    &[test!(a_request_published_twice_runs_once_in_rust), test!(a_request_published_twice_runs_once_in_python)];

/// Publishes a request to `record` 1 twice, then one to record 2: when that has run, both copies have been seen.
async fn publish_twice(setting: &Setting, topic: &str) {
    let peer = setting.peer().await;
    for n in [1, 1, 2] {
        let mut request = Request::new("record", Payload::encode(&json!({"n": n})).unwrap());
        request.unique_id = format!("{n:032x}");
        peer.ok(publish(topic, &request.encode())).await;
    }
}

async fn a_request_published_twice_runs_once_in_rust(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("duplicates"));
    let server = RustServer::start(&bus, &topic, "rust").await;
    publish_twice(&setting, &topic).await;
    assert_eq!(server.recorded(2).await, [1, 2]);
    server.stop().await;
    bus.close(soon()).await.unwrap();
}

async fn a_request_published_twice_runs_once_in_python(setting: Arc<Setting>) {
    let topic = setting.unique("duplicates");
    let server = PythonServer::start(setting.peer().await, &topic, "python").await;
    publish_twice(&setting, &topic).await;
    assert_eq!(server.recorded(2).await, [1, 2]);
    server.stop().await;
}
