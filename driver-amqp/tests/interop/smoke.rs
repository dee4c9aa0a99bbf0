//! Python with Python: that the peer, the broker and this suite work, before anything is said about Rust.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::setting::Setting;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(python_calls_python),
    test!(what_python_raises_is_reported),
    test!(casts_of_python_are_recorded),
    test!(the_reference_decodes_what_it_is_given),
    test!(compression_reaches_the_wire),
];

async fn python_calls_python(setting: Arc<Setting>) {
    let (peer, topic) = (setting.peer().await, setting.unique("smoke"));
    let client = setting.another_peer();
    let server = peer.ok(json!({"do": "serve", "topic": topic, "server": "one"})).await;
    let call = json!({"do": "call", "target": {"topic": topic}, "method": "add", "args": {"a": 1, "b": 2},
        "client": {"timeout": 30}});
    assert_eq!(client.ok(call).await, json!(3));
    peer.ok(json!({"do": "stop", "handle": server})).await;
    client.quit().await;
}

async fn what_python_raises_is_reported(setting: Arc<Setting>) {
    let (peer, topic) = (setting.peer().await, setting.unique("smoke"));
    let server = peer.ok(json!({"do": "serve", "topic": topic, "server": "one"})).await;
    let call = json!({"do": "call", "target": {"topic": topic}, "method": "custom", "client": {"timeout": 30}});
    let error = peer.error(call).await;
    assert_eq!((&error["class"], &error["module"]), (&json!("Refused_Remote"), &json!("peer_errors_Remote")));
    assert_eq!((&error["args"], &error["kwargs"]), (&json!(["no room", 507]), &json!({"shelf": 3, "reason": "full"})));
    peer.ok(json!({"do": "stop", "handle": server})).await;
}

async fn casts_of_python_are_recorded(setting: Arc<Setting>) {
    let (peer, topic) = (setting.peer().await, setting.unique("smoke"));
    let server = peer.ok(json!({"do": "serve", "topic": topic, "server": "one"})).await;
    for (n, fanout) in [(1, false), (2, true)] {
        let target = json!({"topic": topic, "fanout": fanout});
        peer.ok(json!({"do": "cast", "target": target, "method": "record", "args": {"n": n}})).await;
    }
    let mut recorded = peer.ok(json!({"do": "recorded", "handle": server, "count": 2, "timeout": 30})).await;
    recorded.as_array_mut().expect("a list").sort_by_key(Value::as_u64);
    assert_eq!(recorded, json!([1, 2]));
    peer.ok(json!({"do": "stop", "handle": server})).await;
}

async fn the_reference_decodes_what_it_is_given(setting: Arc<Setting>) {
    let body = json!({"oslo.version": "2.0", "oslo.message": r#"{"result": NaN}"#}).to_string();
    let mislabelled = json!({"body": body, "headers": {"compression": "application/x-gzip"}});
    let decoded = setting.peer().await.ok(json!({"do": "decode", "bodies": [body, "junk", mislabelled]})).await;
    assert_eq!(decoded[0], json!({"value": {"result": {"$float": "nan"}}}));
    assert_eq!(decoded[1]["error"]["class"], "DecodeError");
    assert_eq!(decoded[2]["error"]["module"], "zlib");
}

async fn compression_reaches_the_wire(setting: Arc<Setting>) {
    let (peer, topic) = (setting.peer().await, setting.unique("smoke"));
    let declared =
        json!({"do": "declare", "queue": topic, "exchange": "openstack", "arguments": {"x-expires": 60_000}});
    peer.ok(declared).await;
    let cast = json!({"do": "cast", "target": {"topic": topic}, "method": "record", "args": {"n": "x".repeat(1000)},
        "options": {"kombu_compression": "gzip"}});
    peer.ok(cast).await;
    let fetched = peer.ok(json!({"do": "fetch", "queue": topic, "timeout": 30})).await;
    assert_eq!(fetched["headers"]["compression"], "application/x-gzip");
    assert!(fetched["base64"].as_str().is_some_and(|body| body.len() < 500), "the body is fetched as it was sent");
    let decoded = peer.ok(json!({"do": "decode", "bodies": [fetched]})).await;
    assert_eq!(decoded[0]["value"]["args"]["n"].as_str().map(str::len), Some(1000));
}
