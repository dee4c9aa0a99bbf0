//! A service that serves until ctrl-c or SIGTERM and then drains: it takes no more requests and answers those that it has.
//!
//! ```console
//! $ cargo run --example service -- --url rabbit://guest:guest@localhost:5672/
//! ```

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use oslo_messaging::{Bus, Context, Deadline, Endpoint, RpcClient, RpcServer, Target};
use oslo_messaging_examples::connect_to;
use serde::{Deserialize, Serialize};
use tokio::signal::ctrl_c;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long requests that run may take to end. An orchestrator kills a service that takes longer than it allows:
/// Kubernetes after 30 s, systemd after 90 s.
const DRAIN: Duration = Duration::from_secs(20);

/// A service that drains when it is stopped.
#[derive(Parser)]
struct Options {
    /// The bus: the in-memory broker, or `rabbit://user:password@host:port/vhost`.
    #[arg(long, default_value = "fake://")]
    url: String,
    /// Sends one request to the service itself, which takes so many milliseconds.
    #[arg(long, value_name = "MS")]
    request: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Order {
    ms: u64,
}

async fn pack(_: Arc<()>, _: Context, order: Order) -> Result<u64, Infallible> {
    println!("packing for {} ms", order.ms);
    tokio::time::sleep(Duration::from_millis(order.ms)).await;
    Ok(order.ms)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    // Before the service is ready: until the signal is handled, it ends the process at once.
    let terminate = signal(SignalKind::terminate())?;
    let bus = connect_to(&options.url).await?;
    let target = Target::topic("warehouse").server("w1");
    let server = RpcServer::builder(&bus, target).endpoint(Endpoint::new(()).method("pack", pack));
    let server = server.start(Deadline::after(Duration::from_secs(10))).await?;
    println!("serving");
    let request = options.request.map(|ms| tokio::spawn(request(bus.clone(), ms)));

    let signal = stop_signal(terminate).await?;
    println!("{signal}: draining for {DRAIN:?} at most");
    let deadline = Deadline::after(DRAIN);
    server.shutdown(deadline).await?;
    if let Some(request) = request {
        println!("packed in {} ms", request.await??);
    }
    bus.close(deadline).await?;
    println!("drained");
    Ok(())
}

/// Waits for the signal of a terminal, or of a process manager, and returns its name.
async fn stop_signal(mut terminate: Signal) -> io::Result<&'static str> {
    tokio::select! {
        interrupted = ctrl_c() => interrupted.map(|()| "ctrl-c"),
        _ = terminate.recv() => Ok("SIGTERM"),
    }
}

async fn request(bus: Bus, ms: u64) -> oslo_messaging::Result<u64> {
    RpcClient::new(&bus, Target::topic("warehouse")).call(&Context::new(), "pack", &Order { ms }).await
}
