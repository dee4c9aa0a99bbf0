//! A service as a trait: its client calls the server in Python of the same signature, and Python calls its endpoint.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{CallError, Context, Deadline, Exception, Failure, RpcServer, Target, service};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::budget::{ARRIVE, soon};
use crate::command::{call, cast};
use crate::setting::Setting;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(the_client_of_a_service_calls_python),
    test!(python_calls_every_kind_of_method_of_a_service),
    test!(python_is_refused_by_a_service_as_by_its_own),
    test!(nine_servers_are_replaced_under_load_and_no_call_fails),
];

/// What `peer_service.py` has in the namespace `ns`, as far as it is called here.
#[service(namespace = "ns", version = "1.3")]
trait Methods {
    async fn add(&self, context: Context, a: i64, b: i64) -> Result<i64, Failure>;
    async fn reboot(
        &self,
        context: Context,
        id: u64,
        #[serde(default)]
        #[rpc(since = "1.2")]
        hard: bool,
    ) -> Result<(String, u64), Infallible>;
    #[rpc(name = "interface", since = "1.1")]
    async fn described(&self, context: Context) -> Result<(Option<String>, String), Infallible>;
    async fn custom(&self, context: Context) -> Result<(), Refused>;
    #[rpc(cast)]
    async fn record(&self, context: Context, n: Value) -> Result<(), Infallible>;
    async fn recorded(&self, context: Context) -> Result<Vec<Value>, Infallible>;
}

/// The exception of `peer_errors.py`.
#[derive(Debug, PartialEq, Exception)]
#[exception(module = "peer_errors", message = "('{text}', {code})")]
struct Refused {
    #[exception(arg)]
    text: String,
    #[exception(arg)]
    code: u32,
    shelf: u32,
    reason: String,
}

/// What the methods in Rust remember.
#[derive(Debug, Default)]
struct Host {
    recorded: watch::Sender<Vec<Value>>,
}

impl Methods for Host {
    async fn add(&self, _: Context, a: i64, b: i64) -> Result<i64, Failure> {
        a.checked_add(b).ok_or_else(|| Failure::internal("too large"))
    }

    async fn reboot(&self, _: Context, id: u64, hard: bool) -> Result<(String, u64), Infallible> {
        Ok((if hard { "hard" } else { "soft" }.to_owned(), id))
    }

    async fn described(&self, _: Context) -> Result<(Option<String>, String), Infallible> {
        Ok((Some("ns".to_owned()), "1.3".to_owned()))
    }

    async fn custom(&self, _: Context) -> Result<(), Refused> {
        Err(refused())
    }

    async fn record(&self, _: Context, n: Value) -> Result<(), Infallible> {
        self.recorded.send_modify(|recorded| recorded.push(n));
        Ok(())
    }

    async fn recorded(&self, _: Context) -> Result<Vec<Value>, Infallible> {
        Ok(self.recorded.borrow().clone())
    }
}

fn refused() -> Refused {
    Refused { text: "no room".to_owned(), code: 507, shelf: 3, reason: "full".to_owned() }
}

async fn the_client_of_a_service_calls_python(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("service"));
    setting.peer().await.ok(json!({"do": "serve", "topic": topic, "server": "python"})).await;
    let methods = MethodsClient::new(&bus, Target::topic(topic));
    let context = Context::new();
    assert_eq!(methods.add(&context, 2, 3).await.unwrap(), 5);
    for (hard, kind) in [(false, "soft"), (true, "hard")] {
        assert_eq!(methods.reboot(&context, 7, hard).await.unwrap(), (kind.to_owned(), 7));
    }
    assert_eq!(methods.described(&context).await.unwrap(), (Some("ns".to_owned()), "1.3".to_owned()));
    let Err(CallError::Method(error, _)) = methods.custom(&context).await else { panic!("it raises `Refused`") };
    assert_eq!(error, refused());
    methods.fanout().record(&context, json!("to all")).await.unwrap();
    methods.server("python").record(&context, json!("to one")).await.unwrap();
    timeout(ARRIVE, async { while methods.recorded(&context).await.unwrap().len() < 2 {} }).await.unwrap();
    bus.close(soon()).await.unwrap();
}

async fn python_calls_every_kind_of_method_of_a_service(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("service"));
    let host = Arc::new(Host::default());
    let target = Target::topic(&topic).server("rust");
    let endpoint = MethodsEndpoint::shared(Arc::clone(&host));
    let server = RpcServer::builder(&bus, target).endpoint(endpoint).start(soon()).await.unwrap();
    let peer = setting.peer().await;
    let at = |version: &str| json!({"topic": topic, "namespace": "ns", "version": version});

    assert_eq!(peer.ok(call(at("1.0"), "add", json!({"a": 2, "b": 3}))).await, 5);
    assert_eq!(peer.ok(call(at("1.0"), "reboot", json!({"id": 1}))).await, json!(["soft", 1]));
    assert_eq!(peer.ok(call(at("1.2"), "reboot", json!({"id": 1, "hard": true}))).await, json!(["hard", 1]));
    assert_eq!(peer.ok(call(at("1.1"), "interface", json!({}))).await, json!(["ns", "1.3"]));
    let error = peer.error(call(at("1.0"), "custom", json!({}))).await;
    assert_eq!(error["bases"][1], "peer_errors.Refused", "{error}");
    let parts = (&error["args"], &error["kwargs"]);
    assert_eq!(parts, (&json!(["no room", 507]), &json!({"shelf": 3, "reason": "full"})));
    peer.ok(cast(at("1.0"), "record", json!({"n": 7}))).await;
    let mut recorded = host.recorded.subscribe();
    timeout(ARRIVE, recorded.wait_for(|recorded| *recorded == [json!(7)])).await.unwrap().unwrap();
    server.shutdown(soon()).await.unwrap();
    bus.close(soon()).await.unwrap();
}

async fn python_is_refused_by_a_service_as_by_its_own(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("service"));
    let target = Target::topic(&topic).server("rust");
    let endpoint = MethodsEndpoint::new(Host::default());
    let server = RpcServer::builder(&bus, target).endpoint(endpoint).start(soon()).await.unwrap();
    let peer = setting.peer().await;
    for (namespace, version, method, arguments, class) in [
        (Some("ns"), "1.4", "add", json!({"a": 1, "b": 2}), "UnsupportedVersion"),
        (Some("ns"), "2.0", "add", json!({"a": 1, "b": 2}), "UnsupportedVersion"),
        (None, "1.0", "add", json!({"a": 1, "b": 2}), "UnsupportedVersion"),
        (Some("ns"), "1.3", "described", json!({}), "NoSuchMethod"),
    ] {
        let target = json!({"topic": topic, "namespace": namespace, "version": version});
        let error = peer.error(call(target, method, arguments)).await;
        assert_eq!(error["exc_type"], class, "{namespace:?} {version} {method}: {error}");
    }
    for arguments in [json!({"id": 1, "soft": true}), json!({})] {
        let target = json!({"topic": topic, "namespace": "ns", "version": "1.3"});
        let error = peer.error(call(target, "reboot", arguments)).await;
        assert_eq!(error["class"], "TypeError", "{error}");
    }
    server.shutdown(soon()).await.unwrap();
    bus.close(soon()).await.unwrap();
}

/// The service before its second version.
mod first {
    use oslo_messaging::{Context, Failure, service};

    #[service(namespace = "fleet", version = "1.0")]
    pub(super) trait Fleet {
        async fn reboot(&self, context: Context, id: u64) -> Result<u64, Failure>;
    }
}

/// The service before its third version.
mod second {
    use oslo_messaging::{Context, Failure, service};

    #[service(namespace = "fleet", version = "1.1")]
    pub(super) trait Fleet {
        async fn reboot(
            &self,
            context: Context,
            id: u64,
            #[serde(default)]
            #[rpc(since = "1.1", below = "drop")]
            hard: bool,
        ) -> Result<u64, Failure>;
    }
}

/// The service as it is.
mod third {
    use oslo_messaging::{Context, Failure, service};

    #[service(namespace = "fleet", version = "1.2")]
    pub(super) trait Fleet {
        async fn reboot(
            &self,
            context: Context,
            id: u64,
            #[serde(default)]
            #[rpc(since = "1.1", below = "drop")]
            hard: bool,
            #[serde(default)]
            #[rpc(since = "1.2", below = "drop")]
            reason: String,
        ) -> Result<u64, Failure>;
    }
}

/// Answers as each version of the service.
struct Machine;

impl first::Fleet for Machine {
    async fn reboot(&self, _: Context, id: u64) -> Result<u64, Failure> {
        Ok(id)
    }
}

impl second::Fleet for Machine {
    async fn reboot(&self, _: Context, id: u64, _: bool) -> Result<u64, Failure> {
        Ok(id)
    }
}

impl third::Fleet for Machine {
    async fn reboot(&self, _: Context, id: u64, _: bool, _: String) -> Result<u64, Failure> {
        Ok(id)
    }
}

/// How many servers are replaced.
const SERVERS: usize = 9;

async fn nine_servers_are_replaced_under_load_and_no_call_fails(setting: Arc<Setting>) {
    let (bus, topic) = (setting.bus().await, setting.unique("fleet"));
    let within = || Deadline::after(Duration::from_secs(30));
    let builder = |slot: usize| RpcServer::builder(&bus, Target::topic(&topic).server(format!("host-{slot}")));
    let mut servers = Vec::new();
    for slot in 0..SERVERS {
        servers.push(builder(slot).endpoint(first::FleetEndpoint::new(Machine)).start(within()).await.unwrap());
    }

    let target = || Target::topic(&topic);
    let newest = third::FleetClient::new(&bus, target());
    let refused = newest.reboot(&Context::new(), 1, true, String::new()).await.unwrap_err();
    assert_eq!(refused.error().remote().unwrap().class(), "UnsupportedVersion", "without a cap the newest is too new");

    // The oldest of the servers decides what every client may send.
    let (done, finished) = watch::channel(false);
    let callers = [
        tokio::spawn(load(finished.clone(), {
            let client = first::FleetClient::new(&bus, target()).version_cap("1.0");
            async move |id| client.reboot(&Context::new(), id).await
        })),
        tokio::spawn(load(finished.clone(), {
            let client = second::FleetClient::new(&bus, target()).version_cap("1.0");
            async move |id| client.reboot(&Context::new(), id, true).await
        })),
        tokio::spawn(load(finished, {
            let client = newest.version_cap("1.0");
            async move |id| client.reboot(&Context::new(), id, true, "load".to_owned()).await
        })),
    ];
    for (slot, server) in servers.iter_mut().enumerate() {
        server.shutdown(within()).await.unwrap();
        *server = builder(slot).endpoint(second::FleetEndpoint::new(Machine)).start(within()).await.unwrap();
    }
    for (slot, server) in servers.iter_mut().enumerate() {
        server.shutdown(within()).await.unwrap();
        *server = builder(slot).endpoint(third::FleetEndpoint::new(Machine)).start(within()).await.unwrap();
    }
    done.send(true).unwrap();
    for caller in callers {
        let (called, failed) = caller.await.unwrap();
        assert!(called > SERVERS, "{called} calls are no load");
        assert!(failed.is_empty(), "{} of {called} calls failed, first {:?}", failed.len(), failed.first());
    }
    assert_eq!(newest.reboot(&Context::new(), 5, true, "new".to_owned()).await.unwrap(), 5, "all are new");
    for server in servers {
        server.shutdown(within()).await.unwrap();
    }
    bus.close(soon()).await.unwrap();
}

/// Calls one after the other until it is told to stop; returns how many calls it made, and which failed.
async fn load(
    finished: watch::Receiver<bool>,
    call: impl AsyncFn(u64) -> Result<u64, CallError<Failure>>,
) -> (usize, Vec<String>) {
    let (mut called, mut failed) = (0, Vec::new());
    while !*finished.borrow() {
        called += 1;
        if let Err(error) = call(called as u64).await {
            failed.push(error.to_string());
        }
    }
    (called, failed)
}
