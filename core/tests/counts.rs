//! What a call costs in counts, which do not depend on how busy the machine is: allocations, and bytes of futures.
//!
//! The bounds leave a tenth of room. A change that needs more of it has to say why.

#![allow(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Bus, Context, Deadline, Endpoint, Notifier, RpcClient, RpcServer, Target};
use oslo_messaging_fake::FakeBroker;
use serde::{Deserialize, Serialize};

/// Before it is counted: tables and buffers grow first.
const WARM: u64 = 200;
const CALLS: u64 = 1_000;

#[derive(Serialize, Deserialize)]
struct Text {
    s: String,
}

#[test]
fn a_call_with_a_text_of_256_bytes_on_the_fake_allocates_at_most_so_often() {
    const MOST: u64 = 66;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (server, client) = runtime.block_on(async {
        let bus = Bus::new(FakeBroker::new().transport());
        let echo = async |_: Arc<()>, _: Context, text: Text| Ok::<_, Infallible>(text.s);
        let endpoint = Endpoint::new(()).method("echo", echo);
        let soon = Deadline::after(Duration::from_secs(60));
        let server = RpcServer::builder(&bus, Target::topic("t").server("s")).endpoint(endpoint).start(soon).await;
        (server.unwrap(), RpcClient::new(&bus, Target::topic("t")))
    });
    let (context, text) = (Context::new(), Text { s: "x".repeat(256) });
    let calls = |count| {
        runtime.block_on(async {
            for _ in 0..count {
                client.call::<String>(&context, "echo", &text).await.unwrap();
            }
        });
    };
    calls(WARM);
    let counted = allocation_counter::measure(|| calls(CALLS));
    let count = counted.count_total;
    assert!(count <= MOST * CALLS, "{count} allocations in {CALLS} calls");
    drop(server);
}

// The bounds are those of pointers of 64 bits.
#[cfg(target_pointer_width = "64")]
#[test]
fn futures_have_at_most_so_many_bytes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let bus = Bus::new(FakeBroker::new().transport());
    let (client, notifier) = (RpcClient::new(&bus, Target::topic("t")), Notifier::new(&bus, "p"));
    let (context, text) = (Context::new(), Text { s: String::new() });
    for (what, size, most) in [
        ("call", size_of_val(&client.call::<String>(&context, "echo", &text)), 2_200),
        ("cast", size_of_val(&client.cast(&context, "echo", &text)), 1_150),
        ("notify", size_of_val(&notifier.info(&context, "e", &text)), 550),
    ] {
        assert!(size <= most, "a {what} has {size} bytes, and at most {most} are allowed");
    }
}
