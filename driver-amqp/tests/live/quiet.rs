//! What a process logs without faults: nothing above `info`. It runs as a process of its own, and so has its own log.

use std::env;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{
    Bus, Context, Deadline, Endpoint, Event, Failure, NotificationEndpoint, NotificationListener, Notifier, Priority,
    RpcClient, RpcServer, Target,
};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use testkit::stage::{Stage, soon, url, within};

/// The URL of the broker, for the process that is looked at.
const CHILD: &str = "OSLO_TEST_QUIET_CHILD";
/// How often that process connects and closes: what it must not log depended on which of two tasks came first.
const ROUNDS: usize = 40;
/// For all of its rounds.
const WORK: Duration = Duration::from_secs(120);

/// Does the work of the process that is looked at, if this is it.
pub(crate) fn child() -> Option<ExitCode> {
    let address = env::var(CHILD).ok()?;
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_ansi(false).with_writer(std::io::stderr).init();
    Runtime::new().expect("a runtime").block_on(async {
        for round in 0..ROUNDS {
            calls_and_casts(&address, round % 2 == 0).await;
            events(&address).await;
            nothing_but_a_connection(&address).await;
        }
    });
    Some(ExitCode::SUCCESS)
}

pub(crate) async fn calls_events_and_an_orderly_close_log_no_warning() {
    let stage = Stage::shared().await;
    let process = Command::new(env::current_exe().expect("a running program has a path"))
        .env(CHILD, stage.node.url_as("guest", "guest", &stage.vhost))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("this program starts again");
    let output = within(WORK, "the rounds", process.wait_with_output()).await.expect("its output");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{log}", output.status);
    let closes = log.lines().filter(|line| line.contains("INFO") && line.contains("Closed")).count();
    assert_eq!(closes, ROUNDS * 3, "it logs what it does\n{log}");
    let loud: Vec<_> = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
    assert!(loud.is_empty(), "{} lines of {ROUNDS} rounds, such as {:#?}", loud.len(), &loud[..loud.len().min(5)]);
}

struct Shop;

impl Shop {
    async fn buy(self: Arc<Self>, _: Context, item: Value) -> Result<Value, Failure> {
        Ok(item)
    }
}

/// As the quickstart does it. Where the server does not `stop` before the bus, its consumers end with the connection.
async fn calls_and_casts(address: &str, stop: bool) {
    let bus = connect(address).await;
    let target = || Target::topic("quiet");
    let endpoint = Endpoint::new(Shop).method("buy", Shop::buy);
    let server = RpcServer::builder(&bus, target().server("north")).endpoint(endpoint).start(soon()).await;
    let server = server.expect("a server");
    let client = RpcClient::new(&bus, target());
    let bought: Value = client.call(&Context::new(), "buy", &json!({"item": "apple"})).await.expect("a result");
    assert_eq!(bought, json!({"item": "apple"}));
    client.prepare().server("north").cast(&Context::new(), "buy", &json!({})).await.expect("a cast");
    client.prepare().fanout().cast(&Context::new(), "buy", &json!({})).await.expect("a fanout");
    if stop {
        server.shutdown(soon()).await.expect("a stop");
        bus.close(soon()).await.expect("a close");
    } else {
        bus.close(soon()).await.expect("a close");
        drop(server);
    }
}

async fn events(address: &str) {
    let bus = connect(address).await;
    let handled = Arc::new(Semaphore::new(0));
    let endpoint = NotificationEndpoint::shared(Arc::clone(&handled)).on(
        Priority::Info,
        "*",
        async |handled: Arc<Semaphore>, _: Event<Value>| {
            handled.add_permits(1);
            Ok::<_, Failure>(())
        },
    );
    let listener = NotificationListener::builder(&bus).target(Target::topic("notifications")).endpoint(endpoint);
    let listener = listener.start(soon()).await.expect("a listener");
    let notifier = Notifier::new(&bus, "quiet");
    notifier.info(&Context::new(), "order.created", &json!({"id": 7})).await.expect("an event");
    within(WORK, "the event", handled.acquire()).await.expect("it is never closed").forget();
    listener.shutdown(soon()).await.expect("a stop");
    bus.close(soon()).await.expect("a close");
}

async fn nothing_but_a_connection(address: &str) {
    connect(address).await.close(Deadline::after(WORK)).await.expect("a close");
}

async fn connect(address: &str) -> Bus {
    Bus::new(AmqpTransport::connect(&url(address), AmqpConfig::default(), soon()).await.expect("a connection"))
}
