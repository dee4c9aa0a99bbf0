//! The shop: a service with one method for everything the tests ask of a server.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part of the fixtures"
)]

pub mod explosive;
pub mod late;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oslo_messaging::rpc::RpcServerBuilder;
use oslo_messaging::{Bus, Context, Deadline, Endpoint, Exception, Failure, Payload, RpcServer, Target};
use oslo_messaging_fake::FakeBroker;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// The state of the shop: what ran, in order, and gates for methods that wait.
#[derive(Debug)]
pub struct Shop {
    pub log: Mutex<Vec<Value>>,
    entered: Semaphore,
    pub release: Semaphore,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arg {
    pub arg: Value,
}

#[derive(Debug, Deserialize)]
pub struct Secs {
    pub secs: u64,
}

#[derive(Debug, Deserialize)]
pub struct Item {
    pub item: String,
}

struct OutOfStock(String);

impl Exception for OutOfStock {
    fn failure(&self) -> Failure {
        Failure::new("shop.errors", "OutOfStock", format!("no {} left", self.0))
            .with_kwargs(Payload::encode(&json!({"code": 7})).expect("an object has a JSON form"))
            .expected()
    }
}

impl Default for Shop {
    fn default() -> Self {
        Self { log: Mutex::default(), entered: Semaphore::new(0), release: Semaphore::new(0) }
    }
}

impl Shop {
    /// Waits until `count` requests more have entered a method that waits.
    pub async fn entered(&self, count: u32) {
        self.entered.acquire_many(count).await.expect("never closed").forget();
    }

    pub fn logged(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    async fn note(self: Arc<Self>, _: Context, args: Arg) -> Result<Value, Infallible> {
        self.log.lock().unwrap().push(args.arg.clone());
        Ok(args.arg)
    }

    async fn refuse(self: Arc<Self>, _: Context, args: Item) -> Result<(), OutOfStock> {
        Err(OutOfStock(args.item))
    }

    async fn hang(self: Arc<Self>, _: Context, (): ()) -> Result<(), Infallible> {
        self.entered.add_permits(1);
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        Ok(())
    }

    /// Enters, and ends when the test lets it.
    async fn gated(self: Arc<Self>, _: Context, args: Arg) -> Result<Value, Infallible> {
        self.log.lock().unwrap().push(args.arg.clone());
        self.entered.add_permits(1);
        self.release.acquire().await.expect("never closed").forget();
        Ok(args.arg)
    }

    async fn context(self: Arc<Self>, context: Context, (): ()) -> Result<BTreeMap<String, Value>, Infallible> {
        Ok(context.values().map(|(name, value)| (name.to_owned(), value.decode().unwrap())).collect())
    }

    async fn request(self: Arc<Self>, context: Context, (): ()) -> Result<Value, Infallible> {
        let request = context.request().expect("every request is one");
        Ok(json!({"redelivered": request.redelivered, "is_call": request.is_call}))
    }
}

pub fn endpoint(shop: Arc<Shop>) -> Endpoint<Shop> {
    Endpoint::shared(shop)
        .version("1.5")
        .method("echo", async |_: Arc<Shop>, _: Context, args: Arg| Ok::<_, Infallible>(args.arg))
        .method("raw", async |_: Arc<Shop>, _: Context, args: Box<RawValue>| Ok::<_, Infallible>(args))
        .method("sleep", async |_: Arc<Shop>, _: Context, args: Secs| {
            tokio::time::sleep(Duration::from_secs(args.secs)).await;
            Ok::<_, Infallible>("rested")
        })
        .method("panic", async |_: Arc<Shop>, _: Context, (): ()| -> Result<(), Infallible> {
            panic!("the shelf broke")
        })
        .method("note", Shop::note)
        .method("refuse", Shop::refuse)
        .method("hang", Shop::hang)
        .method("gated", Shop::gated)
        .method("context", Shop::context)
        .method("request", Shop::request)
}

pub fn builder(bus: &Bus, shop: &Arc<Shop>) -> RpcServerBuilder {
    RpcServer::builder(bus, Target::topic("shop").server("s1")).endpoint(endpoint(Arc::clone(shop)))
}

pub async fn bus_server_and_shop(broker: &FakeBroker) -> (Bus, RpcServer, Arc<Shop>) {
    let bus = Bus::new(broker.transport());
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).start(soon()).await.expect("the fake broker is there");
    (bus, server, shop)
}

pub async fn bus_and_server(broker: &FakeBroker) -> (Bus, RpcServer) {
    let (bus, server, _) = bus_server_and_shop(broker).await;
    (bus, server)
}

pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub fn soon() -> Deadline {
    Deadline::after(secs(5))
}
