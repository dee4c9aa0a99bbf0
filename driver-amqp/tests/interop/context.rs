//! The values that travel beside the arguments.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Context, RpcClient, Target};
use serde_json::{Value, json};

use crate::budget::soon;
use crate::command::{call, client, with};
use crate::rust_server::RustServer;
use crate::setting::Setting;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] =
    &[test!(nested_values_of_a_context_of_rust_reach_python), test!(nested_values_of_a_context_of_python_reach_rust)];

fn values() -> Value {
    json!({
        "request_id": "req-1",
        "user": "älice",
        "is_admin": false,
        "project": null,
        "roles": ["reader", {"name": "member", "since": [2024, 2.5]}],
        "service_catalog": {"endpoints": [{"url": "http://[::1]:80/", "tags": {}}], "": {"": []}},
        "_context_nested": {"_context_user": "not the user"},
    })
}

async fn nested_values_of_a_context_of_rust_reach_python(setting: Arc<Setting>) {
    let bus = setting.bus().await;
    let client = RpcClient::new(&bus, Target::topic(setting.python_topic().await));
    let Value::Object(sent) = values() else { unreachable!("an object is written above") };
    let context = sent.iter().fold(Context::new(), |context, (name, value)| context.with(name, value.clone()));
    for (client, client_timeout) in [(client.clone(), Value::Null), (client.monitor(Duration::from_secs(7)), json!(7))]
    {
        let mut received: Value = client.call(&context, "context", &()).await.unwrap();
        // The reference puts this one in, and calls it so though it is how long a call may be silent.
        assert_eq!(received.as_object_mut().unwrap().remove("client_timeout"), Some(client_timeout));
        assert_eq!(received, values());
    }
    bus.close(soon()).await.unwrap();
}

async fn nested_values_of_a_context_of_python_reach_rust(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("context"));
    let server = RustServer::start(&bus, &topic, "rust").await;
    let ask = with(call(json!({"topic": topic}), "context", json!({})), "context", values());
    for ask in [ask.clone(), client(ask, "call_monitor_timeout", 7)] {
        assert_eq!(setting.peer().await.ok(ask).await, values());
    }
    server.stop().await;
    bus.close(soon()).await.unwrap();
}
