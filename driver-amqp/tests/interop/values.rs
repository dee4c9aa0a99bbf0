//! Values that JSON has: what one side sends or returns is what the other gets.

use std::sync::Arc;

use oslo_messaging::{Context, RpcClient, Target};
use serde_json::{Value, json};

use crate::budget::soon;
use crate::command::call;
use crate::rust_server::RustServer;
use crate::setting::Setting;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(every_json_type_comes_back_from_python),
    test!(every_json_type_comes_back_from_rust),
    test!(null_and_falsy_results_of_python_reach_rust),
    test!(null_and_falsy_results_of_rust_reach_python),
];

/// What each `kind` of the method `falsy` must return.
fn falsy() -> [(&'static str, Value); 5] {
    [("zero", json!(0)), ("text", json!("")), ("list", json!([])), ("object", json!({})), ("false", json!(false))]
}

/// One value of each type that JSON has, with the awkward ones of it; at last all of them in one.
fn every_json_type() -> Vec<Value> {
    let all = json!([
        null, true, false, 0, -1, 9_007_199_254_740_993_i64, i64::MIN, u64::MAX, 1.5, -0.001, 1e300,
        "", "text", "quote\" back\\slash \n\t\u{0}\u{1f} ü € 😀 \u{2028}", "\\ud800 NaN",
        [], [[], [[1, [null]]]], {}, {"": {"nested": {"deep": [1, 2.5, {"k": null}]}}, "ü": "ö", "$dollar": 1},
    ]);
    let mut each = all.as_array().expect("it is written as one").clone();
    each.push(all);
    each
}

async fn every_json_type_comes_back_from_python(setting: Arc<Setting>) {
    let bus = setting.bus().await;
    let client = RpcClient::new(&bus, Target::topic(setting.python_topic().await));
    for value in every_json_type() {
        let back: Value = client.call(&Context::new(), "echo", &json!({"arg": value})).await.unwrap();
        assert_eq!(back, value);
    }
    bus.close(soon()).await.unwrap();
}

async fn every_json_type_comes_back_from_rust(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("values"));
    let server = RustServer::start(&bus, &topic, "rust").await;
    for value in every_json_type() {
        let echo = call(json!({"topic": topic}), "echo", json!({"arg": value}));
        assert_eq!(setting.peer().await.ok(echo).await, value);
    }
    server.stop().await;
    bus.close(soon()).await.unwrap();
}

async fn null_and_falsy_results_of_python_reach_rust(setting: Arc<Setting>) {
    let bus = setting.bus().await;
    let client = RpcClient::new(&bus, Target::topic(setting.python_topic().await));
    let nothing: Value = client.call(&Context::new(), "nothing", &()).await.unwrap();
    assert_eq!(nothing, Value::Null);
    for (kind, expected) in falsy() {
        let got: Value = client.call(&Context::new(), "falsy", &json!({"kind": kind})).await.unwrap();
        assert_eq!(got, expected, "{kind}");
    }
    bus.close(soon()).await.unwrap();
}

async fn null_and_falsy_results_of_rust_reach_python(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("values"));
    let server = RustServer::start(&bus, &topic, "rust").await;
    let peer = setting.peer().await;
    assert_eq!(peer.ok(call(json!({"topic": topic}), "nothing", json!({}))).await, Value::Null);
    for (kind, expected) in falsy() {
        let got = peer.ok(call(json!({"topic": topic}), "falsy", json!({"kind": kind}))).await;
        assert_eq!(got, expected, "{kind}");
    }
    server.stop().await;
    bus.close(soon()).await.unwrap();
}
