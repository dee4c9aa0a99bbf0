//! Values that Python has and JSON has not, and what becomes of them on their way through Rust.
//!
//! What Rust hands back is strict JSON: `NaN` and infinities have become `null`, lone surrogates U+FFFD; integers of any
//! size are untouched.

use std::sync::Arc;

use oslo_messaging::{Context, Payload, RpcClient, Target};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::budget::soon;
use crate::command::call;
use crate::rust_server::RustServer;
use crate::setting::Setting;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(results_that_only_python_writes_reach_rust),
    test!(what_rust_got_from_python_it_can_hand_back),
    test!(arguments_that_only_python_writes_reach_rust_and_come_back_as_json),
];

const TWO_TO_THE_100: u128 = 1 << 100;

/// As a `Value`, `serde_json` would make a float of an integer of that size before it is ever sent.
#[derive(Debug, Serialize)]
struct Arg {
    arg: Payload,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Types {
    datetime: String,
    uuid: String,
    bytes: String,
    tuple: (u8, String, Option<u8>),
    set: Vec<u8>,
    keys: Value,
}

async fn results_that_only_python_writes_reach_rust(setting: Arc<Setting>) {
    let bus = setting.bus().await;
    let client = RpcClient::new(&bus, Target::topic(setting.python_topic().await));
    let context = Context::new();

    let nan: Vec<Option<f64>> = client.call(&context, "nan", &()).await.unwrap();
    assert_eq!(nan, [None, None, None]);
    let big: u128 = client.call(&context, "big", &()).await.unwrap();
    assert_eq!(big, TWO_TO_THE_100);
    let surrogate: String = client.call(&context, "surrogate", &()).await.unwrap();
    assert_eq!(surrogate, "\u{FFFD}x");
    let types: Types = client.call(&context, "types", &()).await.unwrap();
    let expected = Types {
        datetime: "2024-02-29T12:30:45.678901".into(),
        uuid: "12345678-1234-5678-1234-567812345678".into(),
        bytes: "grün".into(),
        tuple: (1, "two".into(), None),
        set: vec![7],
        keys: json!({"1": "int", "null": "none"}),
    };
    assert_eq!(types, expected);
    bus.close(soon()).await.unwrap();
}

async fn what_rust_got_from_python_it_can_hand_back(setting: Arc<Setting>) {
    let bus = setting.bus().await;
    let client = RpcClient::new(&bus, Target::topic(setting.python_topic().await));
    let context = Context::new();
    for (method, handed_back) in [
        ("nan", json!("[None, None, None]")),
        ("big", json!(TWO_TO_THE_100.to_string())),
        ("surrogate", json!("'\u{FFFD}x'")),
        (
            "types",
            json!(
                "{'datetime': '2024-02-29T12:30:45.678901', 'uuid': '12345678-1234-5678-1234-567812345678', \
                   'bytes': 'grün', 'tuple': [1, 'two', None], 'set': [7], 'keys': {'1': 'int', 'null': 'none'}}"
            ),
        ),
    ] {
        let got = client.call_payload(&context, method, Payload::arguments(&()).unwrap()).await.unwrap();
        // Text that Python made of what it was given: no rounding of ours could hide in it.
        let repr: Value = client.call(&context, "repr", &Arg { arg: got }).await.unwrap();
        assert_eq!(repr, handed_back, "{method}");
    }
    bus.close(soon()).await.unwrap();
}

async fn arguments_that_only_python_writes_reach_rust_and_come_back_as_json(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("exotic"));
    let server = RustServer::start(&bus, &topic, "rust").await;
    let big = json!({"$int": TWO_TO_THE_100.to_string()});
    let negative = json!({"$int": format!("-{TWO_TO_THE_100}")});
    let surrogate = json!({"$text": r#""\ud800x""#});
    for (method, sent, comes_back) in [
        ("echo", json!({"$float": "nan"}), Value::Null),
        ("echo", json!([{"$float": "inf"}, {"$float": "-inf"}, 1.5]), json!([null, null, 1.5])),
        ("echo", big.clone(), big.clone()),
        ("echo", json!([negative, {"$float": "nan"}]), json!([negative, null])),
        ("echo", surrogate.clone(), json!("\u{FFFD}x")),
        ("text", surrogate, json!("\u{FFFD}x")),
        ("text", json!({"$datetime": "2024-02-29T12:30:45.678901"}), json!("2024-02-29T12:30:45.678901")),
        ("text", json!({"$uuid": "12345678123456781234567812345678"}), json!("12345678-1234-5678-1234-567812345678")),
        ("text", json!({"$bytes": "grün"}), json!("grün")),
        ("echo", json!({"$tuple": [1, {"$tuple": []}]}), json!([1, []])),
    ] {
        let sent = call(json!({"topic": topic}), method, json!({"arg": sent}));
        assert_eq!(setting.peer().await.ok(sent.clone()).await, comes_back, "{sent}");
    }
    server.stop().await;
    bus.close(soon()).await.unwrap();
}
