//! Beside a Python service: serve what it calls, or call what it serves.
//!
//! `--serve` answers `echo`, `add` and `whoami` on the topic; a Python program reaches it with
//! `get_rpc_client(transport, Target(topic='rust')).call({}, 'add', a=1, b=2)`. `--call` calls the same three on the server that
//! serves the topic. Without either it does both, once.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use oslo_messaging::{Bus, Context, Deadline, Endpoint, Result, RpcClient, RpcServer, Target};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    bus: oslo_messaging_examples::Options,
    /// Only serve.
    #[arg(long, conflicts_with = "call")]
    serve: bool,
    /// Only call.
    #[arg(long)]
    call: bool,
    #[arg(long, default_value = "rust")]
    topic: String,
}

#[derive(Deserialize)]
struct Echo {
    arg: Value,
}

#[derive(Deserialize)]
struct Add {
    a: i64,
    b: i64,
}

async fn serve(bus: &Bus, target: Target) -> Result<RpcServer> {
    let endpoint = Endpoint::new(())
        .method("echo", async |_: Arc<()>, _: Context, args: Echo| Ok::<_, Infallible>(args.arg))
        .method("add", async |_: Arc<()>, _: Context, args: Add| Ok::<_, Infallible>(args.a + args.b))
        .method("whoami", async |_: Arc<()>, _: Context, (): ()| Ok::<_, Infallible>("a server in Rust"));
    RpcServer::builder(bus, target.server("rust-1")).endpoint(endpoint).ping().start(soon()).await
}

async fn call(bus: &Bus, target: Target) -> Result<()> {
    let client = RpcClient::new(bus, target);
    let context = Context::new().with("request_id", "req-1");
    let echo = ("echo", json!({"arg": {"k": [1, "ü", null]}}));
    for (method, args) in [echo, ("add", json!({"a": 1, "b": 2})), ("whoami", json!({}))] {
        let answer: Value = client.call(&context, method, &args).await?;
        println!("{method}: {answer}");
    }
    Ok(())
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let options = Arguments::parse();
    let bus = oslo_messaging_examples::connect_to(&options.bus.url).await?;
    let target = Target::topic(&options.topic);
    let server = if options.call { None } else { Some(serve(&bus, target.clone()).await?) };
    if options.serve {
        println!("serving {target}; ctrl-c ends it");
        tokio::signal::ctrl_c().await?;
    } else {
        call(&bus, target).await?;
    }
    if let Some(server) = server {
        server.shutdown(soon()).await?;
    }
    bus.close(soon()).await?;
    Ok(())
}
