//! The server's side: several services on one server, the table below, and methods without a trait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use oslo_messaging::{Context, Endpoint, Internal, RpcClient, Target};
use serde_json::json;

use crate::compute::{ComputeClient, ComputeEndpoint, Host, no_reason};
use crate::fleet::{Fleet, soon};

/// Counts what it is asked.
#[derive(Debug, Default)]
struct Meter {
    read: AtomicU64,
}

#[oslo_messaging::endpoint(namespace = "meter", version = "2.1", unknown = "ignore")]
impl Meter {
    /// How often it was read, and by how much more.
    #[rpc(name = "read")]
    async fn read_out(&self, _: Context, #[serde(default, alias = "step")] by: u64) -> Result<u64, Internal> {
        Ok(self.add(by.checked_add(1).ok_or("too much")?))
    }

    /// No caller can run it.
    fn add(&self, by: u64) -> u64 {
        self.read.fetch_add(by, Ordering::Relaxed) + by
    }
}

#[tokio::test(start_paused = true)]
async fn the_marked_methods_of_a_type_are_an_endpoint() {
    let fleet = Fleet::of(Meter::default()).await;
    let meter = RpcClient::new(&fleet.bus, Target::topic("compute").namespace("meter").version("2.0"));
    let context = Context::new();
    assert_eq!(meter.call::<u64>(&context, "read", &()).await.unwrap(), 1);
    assert_eq!(meter.call::<u64>(&context, "read", &json!({"step": 4, "unknown": true})).await.unwrap(), 6);
    let error = meter.call::<u64>(&context, "read", &json!({"by": u64::MAX})).await.unwrap_err();
    assert_eq!(error.remote().unwrap().message(), "too much");
    let error = meter.call::<u64>(&context, "add", &json!({"by": 1})).await.unwrap_err();
    assert_eq!(error.remote().unwrap().class(), "NoSuchMethod");
}

#[tokio::test(start_paused = true)]
async fn one_server_has_several_services_and_a_table_beside_them() {
    let fleet = Fleet::of(ComputeEndpoint::new(Host::default())).await;
    let target = Target::topic("both").server("host-1");
    let table = Endpoint::new(()).method("up", async |_: Arc<()>, _: Context, (): ()| Ok::<_, Internal>(true));
    let server = oslo_messaging::RpcServer::builder(&fleet.bus, target)
        .endpoint(ComputeEndpoint::shared(Arc::new(Host::default())))
        .endpoint(Meter::default())
        .endpoint(table)
        .start(soon())
        .await
        .unwrap();
    let rpc = RpcClient::new(&fleet.bus, Target::topic("both"));
    let context = Context::new();
    let compute = ComputeClient::new(&fleet.bus, Target::topic("both"));
    compute.reboot(&context, 1, true, no_reason()).await.unwrap();
    assert_eq!(rpc.call_at::<u64>(&context, Some("meter"), "2.1", "read", &()).await.unwrap(), 1);
    assert!(rpc.call::<bool>(&context, "up", &()).await.unwrap());
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_table_of_a_service_takes_the_settings_of_every_table() {
    let table = Endpoint::from(ComputeEndpoint::new(Host::default())).legacy_namespace("old");
    let fleet = Fleet::of(table).await;
    let old = RpcClient::new(&fleet.bus, Target::topic("compute").namespace("old"));
    let done: String = old.call(&Context::new(), "reboot", &json!({"id": 3})).await.unwrap();
    assert_eq!(done, "soft reboot of 3 for : none given");
}

#[tokio::test(start_paused = true)]
async fn unknown_and_missing_arguments_are_a_type_error_as_in_python() {
    let fleet = Fleet::of(ComputeEndpoint::new(Host::default())).await;
    let rpc = RpcClient::new(&fleet.bus, Target::topic("compute").namespace("base"));
    for arguments in [json!({"id": 1, "soft": true}), json!({}), json!({"id": "one"})] {
        let error = rpc.call::<String>(&Context::new(), "reboot", &arguments).await.unwrap_err();
        assert_eq!(error.remote().unwrap().class(), "TypeError", "{arguments}");
    }
}

#[test]
fn the_endpoint_shows_its_methods() {
    let shown = format!("{:?}", ComputeEndpoint::new(Host::default()));
    assert!(shown.contains(r#"methods: ["reboot", "tidy", "timeout"]"#), "{shown}");
    assert!(shown.contains(r#"version: "1.3""#), "{shown}");
}
