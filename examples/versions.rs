//! Two generations of an interface side by side: versions, a namespace, and a client that holds itself back.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Context, Deadline, Endpoint, ErrorKind, RpcClient, RpcServer, Target};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bus = oslo_messaging_examples::connect().await?;
    let soon = || Deadline::after(Duration::from_secs(10));

    let old = Endpoint::new(())
        .version("1.4")
        .method("greet", async |_: Arc<()>, _: Context, (): ()| Ok::<_, Infallible>("hello from 1.4"));
    let new = Endpoint::new(())
        .version("2.1")
        .method("greet", async |_: Arc<()>, _: Context, (): ()| Ok::<_, Infallible>("hello from 2.1"));
    let admin = Endpoint::new(())
        .namespace("admin")
        .version("1.0")
        .method("greet", async |_: Arc<()>, _: Context, (): ()| Ok::<_, Infallible>("hello, admin"));
    let server = RpcServer::builder(&bus, Target::topic("greeter").server("g1"))
        .endpoint(old)
        .endpoint(new)
        .endpoint(admin)
        .start(soon())
        .await?;

    let client = RpcClient::new(&bus, Target::topic("greeter"));
    let context = Context::new();
    for version in ["1.0", "1.4", "2.0"] {
        let answer: String = client.prepare().version(version).call(&context, "greet", &()).await?;
        println!("version {version}: {answer}");
    }
    let answer: String = client.prepare().namespace("admin").call(&context, "greet", &()).await?;
    println!("namespace admin: {answer}");

    // The server has no 2.2, and says so.
    let error =
        client.prepare().version("2.2").call::<String>(&context, "greet", &()).await.expect_err("there is none");
    println!("version 2.2: {}", error.remote().ok_or("a remote error")?.class());

    // During an upgrade a client promises to stay within what the oldest server knows.
    let capped = client.prepare().version_cap("1.4");
    println!("may 1.3 be sent under the cap 1.4: {}", capped.can_send_version(Some("1.3"))?);
    let error = capped.version("2.0").call::<String>(&context, "greet", &()).await.expect_err("it is over the cap");
    assert_eq!(error.kind(), ErrorKind::VersionCap);
    println!("version 2.0 under the cap: {error}");

    server.shutdown(soon()).await?;
    bus.close(soon()).await?;
    Ok(())
}
