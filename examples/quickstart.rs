//! A service and its client in one file: a typed call, a cast, a fanout, and an error that crosses the bus.
//!
//! `cargo run --example quickstart`, or with `-- --url rabbit://guest:guest@localhost:5672/`.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Context, Deadline, Endpoint, Exception, Failure, RpcClient, RpcServer, Target};
use serde::{Deserialize, Serialize};

struct Shop;

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    item: String,
    count: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Receipt {
    total: u32,
}

/// What goes wrong in the shop; callers in Python see `shop.errors.OutOfStock`.
struct OutOfStock(String);

impl Exception for OutOfStock {
    fn failure(&self) -> Failure {
        Failure::new("shop.errors", "OutOfStock", format!("no {} left", self.0)).expected()
    }
}

impl Shop {
    async fn buy(self: Arc<Self>, _: Context, order: Order) -> Result<Receipt, OutOfStock> {
        if order.item == "unicorn" {
            return Err(OutOfStock(order.item));
        }
        Ok(Receipt { total: order.count * 3 })
    }

    async fn tidy(self: Arc<Self>, _: Context, (): ()) -> Result<(), Failure> {
        println!("the shop was tidied");
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bus = oslo_messaging_examples::connect().await?;
    let soon = || Deadline::after(Duration::from_secs(10));

    let endpoint = || Endpoint::new(Shop).version("1.2").method("buy", Shop::buy).method("tidy", Shop::tidy);
    let target = |server| Target::topic("shop").server(server);
    let north = RpcServer::builder(&bus, target("north")).endpoint(endpoint()).start(soon()).await?;
    let south = RpcServer::builder(&bus, target("south")).endpoint(endpoint()).start(soon()).await?;

    let shop = RpcClient::new(&bus, Target::topic("shop").version("1.0"));
    let context = Context::new().with("user", "alice");

    let receipt: Receipt = shop.call(&context, "buy", &Order { item: "apple".into(), count: 4 }).await?;
    println!("call: bought for {}", receipt.total);

    shop.prepare().server("north").cast(&context, "tidy", &()).await?;
    println!("cast: north was asked to tidy");

    shop.prepare().fanout().cast(&context, "tidy", &()).await?;
    println!("fanout: every shop was asked to tidy");

    let refused = shop.call::<Receipt>(&context, "buy", &Order { item: "unicorn".into(), count: 1 }).await;
    let error = refused.expect_err("there are no unicorns");
    let remote = error.remote().expect("the shop said so itself");
    println!("remote error: {}.{}: {}", remote.module(), remote.class(), remote.message());

    north.shutdown(soon()).await?;
    south.shutdown(soon()).await?;
    bus.close(soon()).await?;
    Ok(())
}
