//! Namespaces and versions: which endpoint answers, and how a request without one is refused.

use std::sync::Arc;

use oslo_messaging::{Context, ErrorKind, Executed, RpcClient, Target};
use serde_json::{Value, json};

use crate::budget::soon;
use crate::command::{call, client};
use crate::rust_server::RustServer;
use crate::setting::Setting;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(python_answers_rust_in_the_namespaces_and_versions_it_has),
    test!(rust_answers_python_in_the_namespaces_and_versions_it_has),
    test!(a_capped_client_in_rust_sends_python_nothing_newer),
    test!(a_capped_client_in_python_sends_rust_nothing_newer),
];

/// Both services have an endpoint of version 1.1 without a namespace and one of version 1.3 in `ns`.
const CASES: [(Option<&str>, Option<&str>, Answer); 11] = [
    (None, None, Answer::By(None, "1.1")),
    (None, Some("1.0"), Answer::By(None, "1.1")),
    (None, Some("1.1"), Answer::By(None, "1.1")),
    (None, Some("1.2"), Answer::Refused("1.2")),
    (None, Some("2.0"), Answer::Refused("2.0")),
    (Some("ns"), None, Answer::By(Some("ns"), "1.3")),
    (Some("ns"), Some("1.2"), Answer::By(Some("ns"), "1.3")),
    (Some("ns"), Some("1.3"), Answer::By(Some("ns"), "1.3")),
    (Some("ns"), Some("1.4"), Answer::Refused("1.4")),
    (Some("other"), Some("1.0"), Answer::Refused("1.0")),
    (Some("other"), None, Answer::Refused("1.0")),
];

#[derive(Debug)]
enum Answer {
    /// By the endpoint of this namespace and version.
    By(Option<&'static str>, &'static str),
    /// As a version that no server has.
    Refused(&'static str),
}

fn refusal(version: &str) -> String {
    format!("Endpoint does not support RPC version {version}. Attempted method: interface")
}

async fn python_answers_rust_in_the_namespaces_and_versions_it_has(setting: Arc<Setting>) {
    let bus = setting.bus().await;
    for (namespace, version, answer) in CASES {
        let mut target = Target::topic(setting.python_topic().await);
        (target.namespace, target.version) = (namespace.map(Into::into), version.map(Into::into));
        let got = RpcClient::new(&bus, target).call::<Value>(&Context::new(), "interface", &()).await;
        match answer {
            Answer::By(namespace, version) => assert_eq!(got.unwrap(), json!([namespace, version])),
            Answer::Refused(version) => {
                let error = got.unwrap_err();
                let remote = error.remote().expect("the server refused it");
                assert_eq!((remote.class(), remote.message()), ("UnsupportedVersion", &*refusal(version)));
                assert_eq!(remote.module(), "oslo_messaging.rpc.dispatcher");
                assert_eq!(error.executed(), Executed::Maybe);
            }
        }
    }
    bus.close(soon()).await.unwrap();
}

async fn rust_answers_python_in_the_namespaces_and_versions_it_has(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("versions"));
    let server = RustServer::start(&bus, &topic, "rust").await;
    let peer = setting.peer().await;
    for (namespace, version, answer) in CASES {
        let target = json!({"topic": topic, "namespace": namespace, "version": version});
        let interface = call(target, "interface", json!({}));
        match answer {
            Answer::By(namespace, version) => assert_eq!(peer.ok(interface).await, json!([namespace, version])),
            Answer::Refused(version) => {
                let error = peer.error(interface).await;
                assert_eq!(
                    (&error["class"], &error["exc_type"]),
                    (&json!("RemoteError"), &json!("UnsupportedVersion"))
                );
                assert_eq!(error["value"], refusal(version));
            }
        }
    }
    server.stop().await;
    bus.close(soon()).await.unwrap();
}

async fn a_capped_client_in_rust_sends_python_nothing_newer(setting: Arc<Setting>) {
    let (bus, transport) = setting.bus_and_transport().await;
    let target = Target::topic(setting.python_topic().await).namespace("ns");
    let capped = RpcClient::new(&bus, target).version_cap("1.2");
    for version in ["1.3", "2.0", "0.9"] {
        let error =
            capped.prepare().version(version).call::<Value>(&Context::new(), "interface", &()).await.unwrap_err();
        assert_eq!((error.kind(), error.executed()), (ErrorKind::VersionCap, Executed::No), "{version}");
    }
    assert_eq!(transport.counters().publishes, 0);
    let within: Value = capped.prepare().version("1.2").call(&Context::new(), "interface", &()).await.unwrap();
    assert_eq!(within, json!(["ns", "1.3"]));
    bus.close(soon()).await.unwrap();
}

async fn a_capped_client_in_python_sends_rust_nothing_newer(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("versions"));
    let server = RustServer::start(&bus, &topic, "rust").await;
    let capped = |version| {
        let target = json!({"topic": topic, "namespace": "ns", "version": version});
        client(call(target, "record", json!({"n": version})), "version_cap", "1.2")
    };
    let peer = setting.peer().await;
    for version in ["1.3", "2.0", "0.9"] {
        let error = peer.error(capped(version)).await;
        assert_eq!((&error["class"], &error["version"]), (&json!("RPCVersionCapError"), &json!(version)));
    }
    assert_eq!(peer.ok(capped("1.2")).await, "rust");
    assert_eq!(server.recorded(1).await, ["1.2"]);
    server.stop().await;
    bus.close(soon()).await.unwrap();
}
