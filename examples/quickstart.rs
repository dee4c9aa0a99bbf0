//! A service and its client in one file: a typed call, a cast, a fanout, and an error that crosses the bus.
//!
//! `cargo run --example quickstart`, or with `-- --url rabbit://guest:guest@localhost:5672/`.

use std::convert::Infallible;
use std::time::Duration;

use oslo_messaging::{CallError, Context, Deadline, Exception, RpcServer, Target, service};
use serde::{Deserialize, Serialize};

/// What the shop does for callers, in Rust or in Python.
#[service(version = "1.2")]
trait Shop {
    async fn buy(&self, context: Context, item: String, count: u32) -> Result<Receipt, OutOfStock>;

    /// The caller waits for no answer.
    #[rpc(cast)]
    async fn tidy(&self, context: Context) -> Result<(), Infallible>;
}

#[derive(Debug, Serialize, Deserialize)]
struct Receipt {
    total: u32,
}

/// What goes wrong in the shop; callers in Python see `shop.errors.OutOfStock`.
#[derive(Debug, Exception)]
#[exception(module = "shop.errors", message = "no {item} left", expected)]
struct OutOfStock {
    item: String,
}

/// A shop that sells everything but unicorns.
struct Grocery;

impl Shop for Grocery {
    async fn buy(&self, _: Context, item: String, count: u32) -> Result<Receipt, OutOfStock> {
        if item == "unicorn" {
            return Err(OutOfStock { item });
        }
        Ok(Receipt { total: count * 3 })
    }

    async fn tidy(&self, _: Context) -> Result<(), Infallible> {
        println!("the shop was tidied");
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bus = oslo_messaging_examples::connect().await?;
    let soon = || Deadline::after(Duration::from_secs(10));

    let server =
        |name| RpcServer::builder(&bus, Target::topic("shop").server(name)).endpoint(ShopEndpoint::new(Grocery));
    let north = server("north").start(soon()).await?;
    let south = server("south").start(soon()).await?;

    let shop = ShopClient::new(&bus, Target::topic("shop"));
    let context = Context::new().with("user", "alice");

    let receipt = shop.buy(&context, "apple".to_owned(), 4).await?;
    println!("call: bought for {}", receipt.total);

    shop.server("north").tidy(&context).await?;
    println!("cast: north was asked to tidy");

    shop.fanout().tidy(&context).await?;
    println!("fanout: every shop was asked to tidy");

    match shop.buy(&context, "unicorn".to_owned(), 1).await {
        Err(CallError::Method(OutOfStock { item }, _)) => println!("remote error: no {item} left"),
        other => println!("not expected: {other:?}"),
    }

    north.shutdown(soon()).await?;
    south.shutdown(soon()).await?;
    bus.close(soon()).await?;
    Ok(())
}
