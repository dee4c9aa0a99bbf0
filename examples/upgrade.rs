//! A rolling upgrade: three servers are replaced one by one while a client goes on calling them.
//!
//! The new trait has one argument more. The new client is capped at the version of the oldest server until all are new.
//!
//! `cargo run --example upgrade`, or with `-- --url rabbit://guest:guest@localhost:5672/`.

use std::error::Error;
use std::time::Duration;

use oslo_messaging::{Bus, Context, Deadline, RpcServer, Target};
use tokio::sync::watch;

/// What the fleet runs today.
mod old {
    use oslo_messaging::{Context, Failure, service};

    #[service(namespace = "base", version = "1.0")]
    pub(crate) trait Compute {
        async fn reboot(&self, context: Context, id: u64) -> Result<String, Failure>;
    }

    pub(crate) struct Host;

    impl Compute for Host {
        async fn reboot(&self, _: Context, id: u64) -> Result<String, Failure> {
            Ok(format!("1.0 rebooted {id}"))
        }
    }
}

/// What it runs tomorrow: callers may say why, which an old server does not need to know.
mod new {
    use oslo_messaging::{Context, Failure, service};

    #[service(namespace = "base", version = "1.1")]
    pub(crate) trait Compute {
        async fn reboot(
            &self,
            context: Context,
            id: u64,
            #[serde(default)]
            #[rpc(since = "1.1", below = "drop")]
            reason: Option<String>,
        ) -> Result<String, Failure>;
    }

    pub(crate) struct Host;

    impl Compute for Host {
        async fn reboot(&self, _: Context, id: u64, reason: Option<String>) -> Result<String, Failure> {
            Ok(format!("1.1 rebooted {id}, because of {}", reason.as_deref().unwrap_or("nothing")))
        }
    }
}

const HOSTS: [&str; 3] = ["host-1", "host-2", "host-3"];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let bus = oslo_messaging_examples::connect().await?;
    let soon = || Deadline::after(Duration::from_secs(10));
    let server = |host| RpcServer::builder(&bus, Target::topic("compute").server(host));

    let mut fleet = Vec::new();
    for host in HOSTS {
        fleet.push(server(host).endpoint(old::ComputeEndpoint::new(old::Host)).start(soon()).await?);
    }

    let compute = new::ComputeClient::new(&bus, Target::topic("compute"));
    let too_new = compute.reboot(&Context::new(), 1, Some("a test".to_owned())).await.expect_err("no server is new");
    println!("without a cap: {}", too_new.error().remote().ok_or("a remote error")?.class());

    let (done, finished) = watch::channel(false);
    let load = tokio::spawn(load(bus.clone(), finished));
    for (slot, host) in HOSTS.into_iter().enumerate() {
        // It takes no more requests, and answers those that it has.
        fleet[slot].shutdown(soon()).await?;
        fleet[slot] = server(host).endpoint(new::ComputeEndpoint::new(new::Host)).start(soon()).await?;
        println!("{host} is new");
    }
    done.send(true)?;
    println!("during the upgrade: {} calls failed", load.await??);
    println!("after it: {}", compute.reboot(&Context::new(), 1, Some("a test".to_owned())).await?);

    for server in fleet {
        server.shutdown(soon()).await?;
    }
    bus.close(soon()).await?;
    Ok(())
}

/// Calls until the fleet is new; returns how many calls failed.
async fn load(bus: Bus, finished: watch::Receiver<bool>) -> oslo_messaging::Result<u32> {
    let compute = new::ComputeClient::new(&bus, Target::topic("compute")).version_cap("1.0");
    let mut failed = 0;
    while !*finished.borrow() {
        // Below the cap the reason is dropped.
        if let Err(error) = compute.reboot(&Context::new(), 7, Some("load".to_owned())).await {
            eprintln!("{error}");
            failed += 1;
        }
    }
    Ok(failed)
}
