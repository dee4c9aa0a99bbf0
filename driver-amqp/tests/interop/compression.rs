//! Compressed bodies, each way: requests, replies, and what a header says of them.

use std::sync::Arc;

use oslo_messaging::wire::Compression;
use oslo_messaging::{Bus, Context, RpcClient, Target};
use serde_json::{Value, json};

use crate::budget::soon;
use crate::command::{call, cast, with};
use crate::rust_server::RustServer;
use crate::setting::Setting;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(python_reads_what_rust_compresses),
    test!(rust_reads_what_python_compresses),
    test!(the_option_of_the_reference_compresses_what_rust_sends),
    test!(either_side_marks_what_it_compresses_the_same_way),
];

/// Each compression by our name, kombu's, and the one in the header. The help of the option says `bz2`, but kombu has
/// no compression of that name, and every publish fails.
const ALL: [(Compression, &str, &str); 2] =
    [(Compression::Zlib, "gzip", "application/x-gzip"), (Compression::Bzip2, "bzip2", "application/x-bz2")];

/// Text that is shorter when compressed.
fn long_text() -> Value {
    json!("grün und ".repeat(1_000))
}

async fn compressing_bus(setting: &Setting, compression: Compression) -> Bus {
    Bus::builder(setting.bus_and_transport().await.1).compression(compression).build()
}

fn options(kombu: &str) -> Value {
    json!({"kombu_compression": kombu})
}

async fn python_reads_what_rust_compresses(setting: Arc<Setting>) {
    for (compression, ..) in ALL {
        let (bus, topic) = (compressing_bus(&setting, compression).await, setting.unique("compression"));
        let client = RpcClient::new(&bus, Target::topic(setting.python_topic().await));
        let back: Value = client.call(&Context::new(), "echo", &json!({"arg": long_text()})).await.unwrap();
        assert!(back == long_text(), "a request, {compression:?}");

        let server = RustServer::start(&bus, &topic, "rust").await;
        let echo = call(json!({"topic": topic}), "echo", json!({"arg": long_text()}));
        assert!(setting.peer().await.ok(echo).await == long_text(), "a reply, {compression:?}");
        server.stop().await;
        bus.close(soon()).await.unwrap();
    }
}

async fn rust_reads_what_python_compresses(setting: Arc<Setting>) {
    let (bus, peer) = (setting.bus().await, setting.peer().await);
    for (_, kombu, _) in ALL {
        let topic = setting.unique("compression");
        let server = RustServer::start(&bus, &topic, "rust").await;
        let echo = call(json!({"topic": topic}), "echo", json!({"arg": long_text()}));
        assert!(peer.ok(with(echo, "options", options(kombu))).await == long_text(), "a request, {kombu}");
        server.stop().await;

        let topic = setting.unique("compression");
        let serve = json!({"do": "serve", "topic": topic, "server": "python", "options": options(kombu)});
        let handle = peer.ok(serve).await;
        let client = RpcClient::new(&bus, Target::topic(topic));
        let back: Value = client.call(&Context::new(), "echo", &json!({"arg": long_text()})).await.unwrap();
        assert!(back == long_text(), "a reply, {kombu}");
        peer.ok(json!({"do": "stop", "handle": handle})).await;
    }
    bus.close(soon()).await.unwrap();
}

async fn the_option_of_the_reference_compresses_what_rust_sends(setting: Arc<Setting>) {
    let peer = setting.peer().await;
    for (_, kombu, header) in ALL {
        let (bus, topic) =
            (setting.bus_with(&format!("kombu_compression={kombu}")).await, setting.unique("compression"));
        let client = RpcClient::new(&bus, Target::topic(setting.python_topic().await));
        let back: Value = client.call(&Context::new(), "echo", &json!({"arg": long_text()})).await.unwrap();
        assert!(back == long_text(), "{kombu}");
        let arguments = json!({"x-expires": 60_000});
        peer.ok(json!({"do": "declare", "queue": topic, "exchange": "openstack", "arguments": arguments})).await;
        let client = RpcClient::new(&bus, Target::topic(&topic));
        client.cast(&Context::new(), "record", &json!({"n": long_text()})).await.unwrap();
        let fetched = peer.ok(json!({"do": "fetch", "queue": topic, "timeout": 30})).await;
        assert_eq!(fetched["headers"], json!({"compression": header}));
        assert!(fetched["base64"].as_str().unwrap().len() < 2_000, "{kombu}");
        bus.close(soon()).await.unwrap();
    }
}

async fn either_side_marks_what_it_compresses_the_same_way(setting: Arc<Setting>) {
    let peer = setting.peer().await;
    for (compression, kombu, header) in ALL {
        let (bus, topic) = (compressing_bus(&setting, compression).await, setting.unique("compression"));
        let arguments = json!({"x-expires": 60_000});
        peer.ok(json!({"do": "declare", "queue": topic, "exchange": "openstack", "arguments": arguments})).await;
        let client = RpcClient::new(&bus, Target::topic(&topic));
        client.cast(&Context::new(), "record", &json!({"n": long_text()})).await.unwrap();
        let of_python = cast(json!({"topic": topic}), "record", json!({"n": long_text()}));
        peer.ok(with(of_python, "options", options(kombu))).await;
        for side in ["Rust", "Python"] {
            let fetched = peer.ok(json!({"do": "fetch", "queue": topic, "timeout": 30})).await;
            assert_eq!(fetched["headers"], json!({"compression": header}), "{side}");
            let size = fetched["base64"].as_str().unwrap().len();
            assert!(size < 2_000, "{side} sent {size} bytes of text");
            let decoded = peer.ok(json!({"do": "decode", "bodies": [fetched]})).await;
            assert!(decoded[0]["value"]["args"]["n"] == long_text(), "{side}");
        }
        bus.close(soon()).await.unwrap();
    }
}
