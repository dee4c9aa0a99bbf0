//! The commands that the Python peer is given most; `peer.py` lists them all.

use serde_json::{Value, json};

/// How long a client in Python waits for an answer that must come, in seconds.
const TIMEOUT: u64 = 30;

/// Calls `method`; `target` holds the keyword arguments of the reference's `Target`.
#[expect(clippy::needless_pass_by_value, reason = "literals of JSON are passed")]
pub(crate) fn call(target: Value, method: &str, args: Value) -> Value {
    json!({"do": "call", "target": target, "method": method, "args": args, "client": {"timeout": TIMEOUT}})
}

/// Casts `method`.
#[expect(clippy::needless_pass_by_value, reason = "literals of JSON are passed")]
pub(crate) fn cast(target: Value, method: &str, args: Value) -> Value {
    json!({"do": "cast", "target": target, "method": method, "args": args})
}

/// Publishes `body` to a queue, as it is.
pub(crate) fn publish(queue: &str, body: &[u8]) -> Value {
    let body = std::str::from_utf8(body).expect("bodies are JSON");
    json!({"do": "publish", "routing_key": queue, "body": body})
}

/// `command` with one field more.
pub(crate) fn with(mut command: Value, field: &str, value: Value) -> Value {
    command[field] = value;
    command
}

/// `command` by a client with one setting more, or another: `timeout`, `version_cap`, `call_monitor_timeout`, ...
pub(crate) fn client(mut command: Value, setting: &str, value: impl Into<Value>) -> Value {
    command["client"][setting] = value.into();
    command
}
