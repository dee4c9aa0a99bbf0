//! The service in Rust that Python clients call: what `peer_service.py` is to Rust clients.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Bus, Context, Endpoint, Failure, Payload, RpcClient, RpcServer, Target};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::budget::{ARRIVE, soon};

/// A running server with two endpoints: one without a namespace, one in `ns`, with the same methods.
#[derive(Debug)]
pub(crate) struct RustServer {
    server: RpcServer,
    service: Arc<Service>,
}

/// What the methods share.
#[derive(Debug)]
struct Service {
    bus: Bus,
    name: String,
    recorded: watch::Sender<Vec<Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arg {
    arg: Payload,
}

#[derive(Debug, Deserialize)]
struct Text {
    arg: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    a: i64,
    b: i64,
}

#[derive(Debug, Deserialize)]
struct Kind {
    kind: String,
}

#[derive(Debug, Deserialize)]
struct Message {
    message: String,
}

#[derive(Debug, Deserialize)]
struct Secs {
    secs: u64,
}

#[derive(Debug, Deserialize)]
struct Topic {
    topic: String,
}

#[derive(Debug, Deserialize)]
struct Number {
    n: Value,
}

impl RustServer {
    /// Starts the server `name` on `topic`; returns when it can be reached.
    pub(crate) async fn start(bus: &Bus, topic: &str, name: &str) -> Self {
        let service = Arc::new(Service { bus: bus.clone(), name: name.to_owned(), recorded: watch::Sender::default() });
        let target = Target::topic(topic).server(name);
        let server = RpcServer::builder(bus, target)
            .endpoint(endpoint(&service, None, "1.1"))
            .endpoint(endpoint(&service, Some("ns"), "1.3"))
            .start(soon())
            .await
            .expect("the broker is there");
        Self { server, service }
    }

    /// Everything that `record` was given, once it is `count` values.
    pub(crate) async fn recorded(&self, count: usize) -> Vec<Value> {
        let mut recorded = self.service.recorded.subscribe();
        let Ok(values) = timeout(ARRIVE, recorded.wait_for(|values| values.len() >= count)).await else {
            panic!("{count} values were expected, and only {:?} came", *self.service.recorded.borrow())
        };
        values.expect("the service outlives this").clone()
    }

    /// Stops it and waits for its methods.
    pub(crate) async fn stop(self) {
        self.server.shutdown(soon()).await.expect("nothing ended it before");
    }
}

fn endpoint(service: &Arc<Service>, namespace: Option<&'static str>, version: &'static str) -> Endpoint<Service> {
    let endpoint = Endpoint::shared(Arc::clone(service)).version(version);
    let endpoint = match namespace {
        Some(namespace) => endpoint.namespace(namespace),
        None => endpoint,
    };
    let interface = json!([namespace, version]);
    endpoint
        .method("interface", move |_, _, (): ()| {
            let interface = interface.clone();
            async { Ok::<_, Infallible>(interface) }
        })
        .method("echo", async |_: Arc<Service>, _: Context, args: Arg| Ok::<_, Infallible>(args.arg))
        .method("text", async |_: Arc<Service>, _: Context, args: Text| Ok::<_, Infallible>(args.arg))
        .method("add", async |_: Arc<Service>, _: Context, args: Add| Ok::<_, Infallible>(args.a + args.b))
        .method("nothing", async |_: Arc<Service>, _: Context, (): ()| Ok::<_, Infallible>(()))
        .method("falsy", Service::falsy)
        .method("whoami", async |service: Arc<Service>, _: Context, (): ()| Ok::<_, Infallible>(service.name.clone()))
        .method("record", Service::record)
        .method("context", Service::context)
        .method("slow", Service::slow)
        .method("fail", Service::fail)
        .method("expected", Service::expected)
        .method("custom", Service::custom)
        .method("foreign", Service::foreign)
        .method("relay", Service::relay)
        .method("panic", async |_: Arc<Service>, _: Context, (): ()| -> Result<(), Infallible> { panic!("by itself") })
}

impl Service {
    async fn falsy(self: Arc<Self>, _: Context, args: Kind) -> Result<Value, Failure> {
        Ok(match args.kind.as_str() {
            "zero" => json!(0),
            "text" => json!(""),
            "list" => json!([]),
            "object" => json!({}),
            "false" => json!(false),
            other => return Err(Failure::new("builtins", "KeyError", other)),
        })
    }

    async fn record(self: Arc<Self>, _: Context, args: Number) -> Result<String, Infallible> {
        self.recorded.send_modify(|recorded| recorded.push(args.n));
        Ok(self.name.clone())
    }

    async fn context(self: Arc<Self>, context: Context, (): ()) -> Result<Map<String, Value>, Failure> {
        Ok(context.decode()?)
    }

    async fn slow(self: Arc<Self>, _: Context, args: Secs) -> Result<u64, Infallible> {
        tokio::time::sleep(Duration::from_secs(args.secs)).await;
        Ok(args.secs)
    }

    async fn fail(self: Arc<Self>, _: Context, args: Message) -> Result<(), Failure> {
        let lines = ["Traceback (in Rust):\n".to_owned(), format!("ValueError: {}\n", args.message)];
        Err(Failure::new("builtins", "ValueError", args.message).with_traceback(lines))
    }

    async fn expected(self: Arc<Self>, _: Context, args: Message) -> Result<(), Failure> {
        Err(Failure::new("builtins", "KeyError", format!("'{}'", args.message)).with_args([args.message]).expected())
    }

    /// Of a class that the peer knows and allows.
    async fn custom(self: Arc<Self>, _: Context, (): ()) -> Result<(), Failure> {
        Err(Failure::new("peer_errors", "Refused", "('no room', 507)")
            .with_args(("no room", 507))
            .with_kwargs(json!({"shelf": 3, "reason": "full"}))
            .with_traceback(["Refused: in Rust\n"]))
    }

    /// Of a class that no peer knows.
    async fn foreign(self: Arc<Self>, _: Context, (): ()) -> Result<(), Failure> {
        Err(Failure::new("shop.errors", "OutOfStock", "no tea left").with_traceback(["OutOfStock: in Rust\n"]))
    }

    /// Fails as another server does.
    async fn relay(self: Arc<Self>, context: Context, args: Topic) -> Result<Payload, Failure> {
        Ok(RpcClient::new(&self.bus, Target::topic(args.topic)).call(&context, "custom", &()).await?)
    }
}
