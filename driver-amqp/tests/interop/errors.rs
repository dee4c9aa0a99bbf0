//! How the error of a method reaches the other side.

use std::sync::Arc;

use oslo_messaging::{Context, ErrorKind, Executed, Payload, RemoteError, RpcClient, Target};
use serde_json::{Value, json};

use crate::budget::soon;
use crate::command::call;
use crate::rust_server::RustServer;
use crate::setting::Setting;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(a_builtin_exception_of_python_reaches_rust_whole),
    test!(an_exception_of_python_reaches_rust_with_its_arguments),
    test!(what_python_does_not_have_or_cannot_take_is_reported_to_rust),
    test!(a_builtin_failure_of_rust_is_that_exception_in_python),
    test!(a_failure_of_rust_in_an_allowed_module_is_that_class_in_python),
    test!(a_failure_of_rust_in_another_module_is_a_remote_error_in_python),
    test!(what_rust_does_not_have_or_cannot_take_is_reported_to_python),
    test!(a_failure_of_python_passes_through_rust_as_it_came),
];

/// Calls a method of the shared server in Python that fails.
async fn failure_of_python(setting: &Setting, method: &str, args: Value) -> (RemoteError, Executed) {
    let bus = setting.bus().await;
    let client = RpcClient::new(&bus, Target::topic(setting.python_topic().await));
    let error = client.call::<Payload>(&Context::new(), method, &args).await.unwrap_err();
    bus.close(soon()).await.unwrap();
    assert_eq!(error.kind(), ErrorKind::Remote);
    (error.remote().expect("it is of that kind").clone(), error.executed())
}

/// Has the peer call a method of a server in Rust that fails.
async fn failure_of_rust(setting: &Setting, method: &str, args: Value) -> Value {
    let (bus, topic) = (setting.bus().await, setting.unique("errors"));
    let server = RustServer::start(&bus, &topic, "rust").await;
    let error = setting.peer().await.error(call(json!({"topic": topic}), method, args)).await;
    server.stop().await;
    bus.close(soon()).await.unwrap();
    error
}

async fn a_builtin_exception_of_python_reaches_rust_whole(setting: Arc<Setting>) {
    let (error, executed) = failure_of_python(&setting, "fail", json!({"message": "büm"})).await;
    assert_eq!((error.module(), error.class(), error.message()), ("builtins", "ValueError", "büm"));
    assert_eq!((error.args().decode::<Value>().unwrap(), error.kwargs().as_str()), (json!(["büm"]), "{}"));
    let traceback = error.traceback().concat();
    assert!(traceback.starts_with("Traceback (most recent call last):\n"), "{traceback}");
    assert!(traceback.contains("peer_service.py") && traceback.ends_with("ValueError: büm\n"), "{traceback}");
    assert_eq!(executed, Executed::Yes);
}

async fn an_exception_of_python_reaches_rust_with_its_arguments(setting: Arc<Setting>) {
    let (error, _) = failure_of_python(&setting, "custom", json!({})).await;
    assert_eq!((error.module(), error.class()), ("peer_errors", "Refused"));
    assert_eq!(error.args().decode::<Value>().unwrap(), json!(["no room", 507]));
    assert_eq!(error.kwargs().decode::<Value>().unwrap(), json!({"shelf": 3, "reason": "full"}));
    assert!(error.traceback().concat().contains("peer_errors.Refused"));

    let (error, _) = failure_of_python(&setting, "expected", json!({"message": "k"})).await;
    assert_eq!((error.module(), error.class(), error.message()), ("builtins", "KeyError", "'k'"));
    assert_eq!(error.args().as_str(), r#"["k"]"#);
}

async fn what_python_does_not_have_or_cannot_take_is_reported_to_rust(setting: Arc<Setting>) {
    let (error, executed) = failure_of_python(&setting, "missing", json!({})).await;
    assert_eq!((error.module(), error.class()), ("oslo_messaging.rpc.dispatcher", "NoSuchMethod"));
    assert_eq!(error.message(), "Endpoint does not support RPC method missing");
    assert_eq!(executed, Executed::Maybe);
    for args in [json!({"a": 1}), json!({"a": 1, "b": 2, "c": 3})] {
        let (error, _) = failure_of_python(&setting, "add", args).await;
        assert_eq!((error.module(), error.class()), ("builtins", "TypeError"));
        assert!(error.message().contains("argument"), "{error}");
    }
}

async fn a_builtin_failure_of_rust_is_that_exception_in_python(setting: Arc<Setting>) {
    let error = failure_of_rust(&setting, "fail", json!({"message": "büm"})).await;
    assert_eq!((&error["class"], &error["module"]), (&json!("ValueError"), &json!("builtins")));
    // Python cannot put another `str()` into a class of its own, so it makes all of it the first argument.
    let text = "büm\nTraceback (in Rust):\n\nValueError: büm\n";
    assert_eq!((&error["message"], &error["args"]), (&json!(text), &json!([text])));

    let error = failure_of_rust(&setting, "expected", json!({"message": "k"})).await;
    assert_eq!((&error["class"], &error["args"]), (&json!("KeyError"), &json!(["'k'\n"])));

    let error = failure_of_rust(&setting, "panic", json!({})).await;
    assert_eq!(error["class"], "RuntimeError");
    assert!(error["message"].as_str().unwrap().contains("by itself"), "{error}");
}

async fn a_failure_of_rust_in_an_allowed_module_is_that_class_in_python(setting: Arc<Setting>) {
    let error = failure_of_rust(&setting, "custom", json!({})).await;
    assert_eq!((&error["class"], &error["module"]), (&json!("Refused_Remote"), &json!("peer_errors_Remote")));
    assert_eq!(error["bases"][1], "peer_errors.Refused");
    assert_eq!((&error["args"], &error["kwargs"]), (&json!(["no room", 507]), &json!({"shelf": 3, "reason": "full"})));
    assert_eq!(error["message"], "('no room', 507)\nRefused: in Rust\n");
}

async fn a_failure_of_rust_in_another_module_is_a_remote_error_in_python(setting: Arc<Setting>) {
    let error = failure_of_rust(&setting, "foreign", json!({})).await;
    assert_eq!((&error["class"], &error["exc_type"]), (&json!("RemoteError"), &json!("OutOfStock")));
    assert_eq!((&error["value"], &error["traceback"]), (&json!("no tea left"), &json!(["OutOfStock: in Rust\n"])));
}

async fn what_rust_does_not_have_or_cannot_take_is_reported_to_python(setting: Arc<Setting>) {
    let error = failure_of_rust(&setting, "missing", json!({})).await;
    assert_eq!((&error["class"], &error["exc_type"]), (&json!("RemoteError"), &json!("NoSuchMethod")));
    assert_eq!(error["value"], "Endpoint does not support RPC method missing");
    for args in [json!({"a": 1}), json!({"a": 1, "b": 2, "c": 3}), json!({"a": 1, "b": "two"})] {
        let error = failure_of_rust(&setting, "add", args).await;
        assert_eq!((&error["class"], &error["module"]), (&json!("TypeError"), &json!("builtins")));
        assert!(error["message"].as_str().unwrap().starts_with("add() cannot take these arguments"), "{error}");
    }
}

async fn a_failure_of_python_passes_through_rust_as_it_came(setting: Arc<Setting>) {
    let (direct, _) = failure_of_python(&setting, "custom", json!({})).await;
    let relayed = failure_of_rust(&setting, "relay", json!({"topic": setting.python_topic().await})).await;
    assert_eq!((&relayed["class"], &relayed["args"]), (&json!("Refused_Remote"), &json!(["no room", 507])));
    assert_eq!(relayed["kwargs"], direct.kwargs().decode::<Value>().unwrap());
    assert!(relayed["message"].as_str().unwrap().contains("peer_service.py"), "{relayed}");
}
