//! A call through a service costs the instructions of one through the table of methods below it.
//!
//! Callgrind counts the instructions of this program, which runs itself again for each way: on one thread, on the
//! in-memory broker. Without `valgrind` the test is listed as ignored, and says why.

#![allow(clippy::print_stderr, clippy::unwrap_used, reason = "it shows what it leaves out, and fails by panicking")]

use std::convert::Infallible;
use std::env;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use oslo_messaging::{Bus, Context, Deadline, Endpoint, RpcClient, RpcServer, Target};
use oslo_messaging_fake::FakeBroker;
use serde::{Deserialize, Serialize};

/// Tells a copy of this program which way to call, and how often: `table 100`.
const CALLS: &str = "OSLO_TEST_COUNTED_CALLS";
/// Of two runs; what both have in common is the start.
const FEW: u64 = 100;
const MANY: u64 = 600;
/// How much more the service may cost, in percent of the table.
const MORE: u64 = 2;

/// The arguments of the method, as the table needs them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    s: String,
}

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

fn main() -> ExitCode {
    if let Ok(calls) = env::var(CALLS) {
        let (way, count) = calls.split_once(' ').unwrap();
        run(way, count.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    let has_valgrind = Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success());
    if !has_valgrind {
        eprintln!("instructions: LEFT OUT: valgrind is not installed");
    }
    let trial =
        Trial::test("a_call_through_a_service_costs_the_instructions_of_one_through_the_table_below_it", || {
            let [table, service] = ["table", "service"].map(|way| counted(way, MANY) - counted(way, FEW));
            let (table, service) = (table / (MANY - FEW), service / (MANY - FEW));
            eprintln!("instructions of a call: {table} through the table, {service} through the service");
            if service * 100 > table * (100 + MORE) {
                return Err(format!("{service} instructions through the service, {table} through the table").into());
            }
            Ok(())
        });
    libtest_mimic::run(&Arguments::from_args(), vec![trial.with_ignored_flag(!has_valgrind)]).exit_code()
}

/// The instructions of a program that makes `count` calls.
fn counted(way: &str, count: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().unwrap())
        .env(CALLS, format!("{way} {count}"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let collected = text.lines().find_map(|line| line.split_once("Collected : ")).unwrap().1;
    collected.trim().parse().unwrap()
}

/// Makes `count` calls in one of the two ways.
#[tokio::main(flavor = "current_thread")]
async fn run(way: &str, count: u64) {
    let bus = Bus::new(FakeBroker::new().transport());
    let soon = Deadline::after(Duration::from_secs(600));
    let builder = RpcServer::builder(&bus, Target::topic("t").server("s"));
    let (context, text) = (Context::new(), || "x".repeat(256));
    if way == "table" {
        let echo = async |host: Arc<Host>, context: Context, text: Text| host.echo(context, text.s).await;
        let server = builder.endpoint(Endpoint::new(Host).method("echo", echo)).start(soon).await.unwrap();
        let client = RpcClient::new(&bus, Target::topic("t").version("1.0"));
        for _ in 0..count {
            client.call::<String>(&context, "echo", &Text { s: text() }).await.unwrap();
        }
        drop(server);
    } else {
        let server = builder.endpoint(EchoEndpoint::new(Host)).start(soon).await.unwrap();
        let client = EchoClient::new(&bus, Target::topic("t"));
        for _ in 0..count {
            client.echo(&context, text()).await.unwrap();
        }
        drop(server);
    }
}
