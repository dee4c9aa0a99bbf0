//! A call that takes long, and how its caller tells a busy server from a dead one.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oslo_messaging::{Context, Deadline, Endpoint, RpcClient, RpcServer, Target};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bus = oslo_messaging_examples::connect().await?;
    let soon = || Deadline::after(Duration::from_secs(10));

    let endpoint = Endpoint::new(()).method("rebuild", async |_: Arc<()>, context: Context, (): ()| {
        let left = context.deadline().map(Deadline::remaining);
        println!("the server knows that its caller waits {:.0?} at most", left.unwrap_or_default());
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok::<_, Infallible>("rebuilt")
    });
    let server = RpcServer::builder(&bus, Target::topic("depot").server("d1")).endpoint(endpoint).start(soon()).await?;

    // Up to half an hour, as long as the server shows a sign of life every two seconds.
    let client = RpcClient::new(&bus, Target::topic("depot"))
        .timeout(Duration::from_secs(1_800))
        .monitor(Duration::from_secs(2));
    let started = Instant::now();
    let answer: String = client.call(&Context::new(), "rebuild", &()).await?;
    println!("{answer} after {:.0?}", started.elapsed());

    // This topic has no server: the broker says so at once, whatever the timeout.
    let started = Instant::now();
    let error = client.prepare().topic("nowhere").call::<String>(&Context::new(), "rebuild", &()).await;
    let error = error.expect_err("there is no server");
    println!("{error}");
    println!("failed within a second: {}", started.elapsed() < Duration::from_secs(1));

    server.shutdown(soon()).await?;
    bus.close(soon()).await?;
    Ok(())
}
