//! How an application tests its own service: the fake broker, and a clock that jumps.
//!
//! `cargo test --example unit_test` runs the tests below; `cargo run --example unit_test` shows the timing.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oslo_messaging::{Bus, Context, Deadline, Endpoint, ErrorKind, RpcClient, RpcServer, Target};
use oslo_messaging_fake::FakeBroker;

/// The code under test: a service that never answers in time.
fn slow_service() -> Endpoint<()> {
    Endpoint::new(()).method("dig", async |_: Arc<()>, _: Context, (): ()| {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        Ok::<_, Infallible>("found it")
    })
}

async fn a_call_gives_up_after_a_minute() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let server = RpcServer::builder(&bus, Target::topic("mine").server("m1"))
        .endpoint(slow_service())
        .start(Deadline::after(Duration::from_secs(1)))
        .await
        .expect("the fake broker is there");

    let client = RpcClient::new(&bus, Target::topic("mine")).timeout(Duration::from_secs(60));
    let started = tokio::time::Instant::now();
    let error = client.call::<String>(&Context::new(), "dig", &()).await.expect_err("it takes an hour");

    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(started.elapsed().as_secs(), 60);
    drop(server);
}

fn main() -> std::io::Result<()> {
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(a_call_gives_up_after_a_minute());
    let took = started.elapsed();
    println!("a timeout of 60 s was tested in under 10 ms: {}", took < Duration::from_millis(10));
    Ok(())
}

#[cfg(test)]
mod tests {
    #[tokio::test(start_paused = true)]
    async fn a_call_gives_up_after_a_minute() {
        super::a_call_gives_up_after_a_minute().await;
    }
}
