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

/// The same method as [`Text`] has it, as a service.
#[oslo_messaging::service]
trait Echo {
    async fn echo(&self, context: Context, s: String) -> Result<String, Infallible>;
}

struct Host;

impl Echo for Host {
    async fn echo(&self, _: Context, s: String) -> Result<String, Infallible> {
        Ok(s)
    }
}

#[test]
fn a_call_through_a_service_allocates_what_one_through_the_table_below_it_does() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let bus = runtime.block_on(async { Bus::new(FakeBroker::new().transport()) });
    let soon = Deadline::after(Duration::from_secs(60));
    let table = Endpoint::new(Host)
        .method("echo", async |host: Arc<Host>, context: Context, text: Text| host.echo(context, text.s).await);
    let server = |topic| RpcServer::builder(&bus, Target::topic(topic).server("s"));
    let servers = runtime.block_on(async {
        let service = server("service").endpoint(EchoEndpoint::new(Host)).start(soon).await;
        (server("table").endpoint(table).start(soon).await.unwrap(), service.unwrap())
    });
    let (table, service) =
        (RpcClient::new(&bus, Target::topic("table").version("1.0")), EchoClient::new(&bus, Target::topic("service")));
    let context = Context::new();
    let text = || "x".repeat(256);
    let through_table = async |_| table.call::<String>(&context, "echo", &Text { s: text() }).await.unwrap();
    let through_service = async |_| service.echo(&context, text()).await.unwrap();
    let table = counted(&runtime, through_table);
    let service = counted(&runtime, through_service);
    assert!(
        service.abs_diff(table) * 50 <= table,
        "{service} allocations through the service, {table} through the table"
    );
    drop(servers);
}

/// The allocations of the calls that `call` makes.
fn counted(runtime: &tokio::runtime::Runtime, call: impl AsyncFn(u64) -> String) -> u64 {
    let calls = |count| {
        runtime.block_on(async {
            for number in 0..count {
                call(number).await;
            }
        });
    };
    calls(WARM);
    allocation_counter::measure(|| calls(CALLS)).count_total
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
