//! Which server gets a request: the named one, one of a group, or all; and each of them once.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use oslo_messaging::{Bus, Context, RpcClient, Target};
use serde_json::{Value, json};

use crate::budget::soon;
use crate::command::{call, cast};
use crate::peer::Peer;
use crate::python_server::PythonServer;
use crate::rust_server::RustServer;
use crate::setting::Setting;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(a_directed_call_reaches_the_server_it_names),
    test!(a_fanout_reaches_every_server_once),
    test!(servers_of_both_kinds_share_what_reaches_their_topic),
];

/// How many calls of one client are under way at once.
const AT_ONCE: usize = 8;

/// Servers in Rust and in Python, the latter in two processes, on one topic; and a client of either kind.
struct Group<'a> {
    bus: Bus,
    peer: &'a Peer,
    topic: String,
    rust: Vec<(&'static str, RustServer)>,
    python: Vec<(&'static str, PythonServer<'a>)>,
}

impl<'a> Group<'a> {
    async fn start(setting: &'a Setting, rust: &[&'static str], python: [&'static str; 2]) -> Self {
        let (bus, topic) = (setting.bus().await, setting.unique("delivery"));
        let peers = [setting.peer().await, setting.second_peer().await];
        let mut group = Self { bus, peer: peers[0], topic, rust: Vec::new(), python: Vec::new() };
        for name in rust {
            group.rust.push((name, RustServer::start(&group.bus, &group.topic, name).await));
        }
        for (name, peer) in python.into_iter().zip(peers) {
            group.python.push((name, PythonServer::start(peer, &group.topic, name).await));
        }
        group
    }

    fn client(&self) -> RpcClient {
        RpcClient::new(&self.bus, Target::topic(&self.topic))
    }

    /// What the server `name` recorded, once that is `count` values.
    async fn recorded(&self, name: &str, count: usize) -> Vec<Value> {
        if let Some((_, server)) = self.rust.iter().find(|(known, _)| *known == name) {
            return server.recorded(count).await;
        }
        let (_, server) = self.python.iter().find(|(known, _)| *known == name).expect("it is in the group");
        server.recorded(count).await
    }

    async fn stop(self) {
        for (_, server) in self.rust {
            server.stop().await;
        }
        for (_, server) in self.python {
            server.stop().await;
        }
        self.bus.close(soon()).await.unwrap();
    }
}

fn sorted(values: &[Value]) -> Vec<u64> {
    let mut numbers: Vec<u64> = values.iter().map(|value| value.as_u64().expect("a number")).collect();
    numbers.sort_unstable();
    numbers
}

async fn a_directed_call_reaches_the_server_it_names(setting: Arc<Setting>) {
    let group = Group::start(&setting, &["rust-1", "rust-2"], ["python-1", "python-2"]).await;
    for name in ["rust-1", "rust-2", "python-1", "python-2"] {
        // Twice: a call that any server may answer would reach another the second time.
        for _ in 0..2 {
            let client = group.client().server(name);
            assert_eq!(client.call::<String>(&Context::new(), "whoami", &()).await.unwrap(), name);
            let directed = call(json!({"topic": group.topic, "server": name}), "whoami", json!({}));
            assert_eq!(group.peer.ok(directed).await, name);
        }
    }
    group.stop().await;
}

async fn a_fanout_reaches_every_server_once(setting: Arc<Setting>) {
    let group = Group::start(&setting, &["rust-1"], ["python-1", "python-2"]).await;
    let fanout = group.client().fanout();
    fanout.cast(&Context::new(), "record", &json!({"n": 1})).await.unwrap();
    group.peer.ok(cast(json!({"topic": group.topic, "fanout": true}), "record", json!({"n": 2}))).await;
    // Behind the others in every queue: once it is there, so is every copy of those.
    fanout.cast(&Context::new(), "record", &json!({"n": 3})).await.unwrap();
    for name in ["rust-1", "python-1", "python-2"] {
        assert_eq!(sorted(&group.recorded(name, 3).await), [1, 2, 3], "{name}");
    }
    group.stop().await;
}

async fn servers_of_both_kinds_share_what_reaches_their_topic(setting: Arc<Setting>) {
    let group = Group::start(&setting, &["rust-1", "rust-2"], ["python-1", "python-2"]).await;
    let client = group.client();
    let (context, target) = (Context::new(), json!({"topic": group.topic}));
    let of_rust = stream::iter(0..150)
        .map(async |n| client.call::<String>(&context, "record", &json!({"n": n})).await.expect("a server answers"));
    let of_python = stream::iter(150..300).map(async |n| {
        let name = group.peer.ok(call(target.clone(), "record", json!({"n": n}))).await;
        name.as_str().expect("a name").to_owned()
    });
    let (first, second) = tokio::join!(
        of_rust.buffer_unordered(AT_ONCE).collect::<Vec<String>>(),
        of_python.buffer_unordered(AT_ONCE).collect::<Vec<String>>(),
    );
    let mut shares = BTreeMap::<String, usize>::new();
    for name in first.into_iter().chain(second) {
        *shares.entry(name).or_default() += 1;
    }
    assert_eq!(shares.len(), 4, "{shares:?}");
    assert!(shares.values().all(|&share| share >= 20), "{shares:?}");
    let mut all = Vec::new();
    for (name, &share) in &shares {
        all.extend(group.recorded(name, share).await);
    }
    assert_eq!(sorted(&all), (0..300).collect::<Vec<u64>>(), "none is lost or doubled");
    group.stop().await;
}
