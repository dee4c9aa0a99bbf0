//! A server in Python, run by a peer.

use serde_json::{Value, json};

use crate::budget::ARRIVE;
use crate::peer::Peer;

/// A running server of `peer_service.py`. It ends with [`stop`](Self::stop), or with its peer.
#[derive(Debug)]
pub(crate) struct PythonServer<'a> {
    peer: &'a Peer,
    handle: Value,
}

impl<'a> PythonServer<'a> {
    /// Has `peer` start the server `name` on `topic`; returns when it can be reached.
    pub(crate) async fn start(peer: &'a Peer, topic: &str, name: &str) -> Self {
        let handle = peer.ok(json!({"do": "serve", "topic": topic, "server": name})).await;
        Self { peer, handle }
    }

    /// Everything that `record` was given, once it is `count` values.
    pub(crate) async fn recorded(&self, count: usize) -> Vec<Value> {
        let asked = json!({"do": "recorded", "handle": self.handle, "count": count, "timeout": ARRIVE.as_secs()});
        let Value::Array(values) = self.peer.ok(asked).await else { panic!("a list is recorded") };
        assert!(values.len() >= count, "{count} values were expected, and only {values:?} came");
        values
    }

    /// Stops it and waits for its methods.
    pub(crate) async fn stop(self) {
        self.peer.ok(json!({"do": "stop", "handle": self.handle})).await;
    }
}
