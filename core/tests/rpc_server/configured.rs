//! What a server takes from the bus that a configuration file describes.

use std::sync::Arc;

use oslo_messaging::{Bus, ConfigFile, Context, ErrorKind, Registry};
use oslo_messaging_fake::{FakeBroker, FakeConnector};
use serde_json::json;

use crate::common::{Shop, builder, soon};
use crate::support::client;

const PING: &str = "oslo_rpc_server_ping";

async fn bus(lines: &str) -> oslo_messaging::Result<Bus> {
    let file = ConfigFile::parse(&format!("[DEFAULT]\ntransport_url = rabbit://mq1/\n{lines}")).unwrap();
    let registry = Registry::new().register_scheme("rabbit", FakeConnector::to(&FakeBroker::new()));
    Bus::from_config(&file, &registry, soon()).await
}

#[tokio::test(start_paused = true)]
async fn a_server_runs_as_many_methods_as_the_file_says_unless_its_builder_does() {
    let bus = bus("executor_thread_pool_size = 2\n").await.unwrap();
    let shop = Arc::new(Shop::default());
    for (settings, running) in [(builder(&bus, &shop), 2), (builder(&bus, &shop).concurrency(3), 3)] {
        let server = settings.reserve(0).start(soon()).await.unwrap();
        for number in 0..6 {
            client(&bus).cast(&Context::new(), "gated", &json!({ "arg": number })).await.unwrap();
        }
        let before = shop.logged().len();
        shop.entered(running).await;
        tokio::task::yield_now().await;
        assert_eq!(shop.logged().len() - before, running as usize);
        shop.release.add_permits(6);
        // What a stopping server has not taken is left to the next.
        shop.entered(6 - running).await;
        server.shutdown(soon()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_answers_pings_where_the_file_says_so() {
    for (lines, answered) in [("rpc_ping_enabled = true\n", true), ("rpc_ping_enabled = false\n", false), ("", false)] {
        let bus = bus(lines).await.unwrap();
        let server = builder(&bus, &Arc::new(Shop::default())).start(soon()).await.unwrap();
        let pong = client(&bus).call::<String>(&Context::new(), PING, &()).await;
        assert_eq!(pong.is_ok_and(|pong| pong == "pong"), answered, "{lines}");
        server.shutdown(soon()).await.unwrap();
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_used_ends_the_start_and_is_named() {
    for (lines, named) in [
        ("executor_thread_pool_size = 0\n", "executor_thread_pool_size"),
        ("rpc_ping_enabled = perhaps\n", "rpc_ping_enabled"),
        ("control_exchange = $unknown\n", "$unknown"),
    ] {
        let error = bus(lines).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains(named), "{error}");
    }
}
