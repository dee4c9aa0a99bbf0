//! A listener in a process of its own, which handles so many events and then stands still until it is killed.

use std::env;
use std::future::pending;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oslo_messaging::config::TransportUrl;
use oslo_messaging::notify::NotificationListenerBuilder;
use oslo_messaging::{Bus, Event, Failure, NotificationEndpoint, NotificationListener, Priority, Target};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::runtime::Runtime;

use testkit::stage::{ARRIVE, soon, within};

/// What the child is to do, as its environment says.
const TASK: &str = "OSLO_TEST_EVENTS_CHILD";

/// What a listener is to do: its bus, its topic, how many it handles, and how.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) url: String,
    pub(crate) topic: String,
    /// How many events it handles before it stands still.
    pub(crate) events: usize,
    /// The size of its batches; 0 for every event on its own, 25 at once.
    pub(crate) batch: usize,
}

/// A running child. It is killed when dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    process: Child,
    handled: Lines<BufReader<ChildStdout>>,
}

impl Task {
    /// The task of this process, if it is the child.
    pub(crate) fn from_env() -> Option<Self> {
        let task: Value = serde_json::from_str(&env::var(TASK).ok()?).expect("a task in JSON");
        let number = |name: &str| usize::try_from(task[name].as_u64().expect("a number")).expect("a small one");
        let text = |name: &str| task[name].as_str().expect("text").to_owned();
        Some(Self { url: text("url"), topic: text("topic"), events: number("events"), batch: number("batch") })
    }

    /// Does the task of the child: says the number of each event it handles on a line of its own, and never ends.
    pub(crate) fn run(self) -> ExitCode {
        Runtime::new().expect("a runtime").block_on(async {
            let bus = bus(&self.url).await;
            let handled = Arc::new(AtomicUsize::new(0));
            let _listener = self.builder(&bus, handled).start(soon()).await.expect("it starts");
            pending::<ExitCode>().await
        })
    }

    /// Starts the child.
    pub(crate) fn spawn(&self) -> Listening {
        let task = serde_json::json!({
            "url": self.url, "topic": self.topic, "events": self.events, "batch": self.batch,
        });
        let mut process = Command::new(env::current_exe().expect("a running program has a path"))
            .env(TASK, task.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("this program starts again");
        let handled = BufReader::new(process.stdout.take().expect("it was piped")).lines();
        Listening { process, handled }
    }

    fn builder(&self, bus: &Bus, handled: Arc<AtomicUsize>) -> NotificationListenerBuilder {
        let limit = self.events;
        let target = Target::topic(&self.topic);
        let builder = NotificationListener::builder(bus).target(target);
        let endpoint = NotificationEndpoint::shared(handled);
        match NonZeroUsize::new(self.batch) {
            None => builder.concurrency(25).endpoint(endpoint.on(
                Priority::Info,
                "*",
                move |handled: Arc<AtomicUsize>, event: Event<Value>| handle(handled, vec![event], limit),
            )),
            Some(size) => builder.batch(size, Duration::from_millis(200)).endpoint(endpoint.on_batch(
                Priority::Info,
                "*",
                move |handled: Arc<AtomicUsize>, events: Vec<Event<Value>>| handle(handled, events, limit),
            )),
        }
    }
}

/// Says that each of `events` is handled; stands still at the one behind the last.
async fn handle(handled: Arc<AtomicUsize>, events: Vec<Event<Value>>, limit: usize) -> Result<(), Failure> {
    for event in events {
        if handled.fetch_add(1, Ordering::Relaxed) >= limit {
            return pending().await;
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", event.payload["n"]).and_then(|()| out.flush()).map_err(Failure::internal)?;
    }
    Ok(())
}

impl Listening {
    /// The numbers of the next `count` events that it handles.
    pub(crate) async fn handled(&mut self, count: usize) -> Vec<u64> {
        let mut numbers = Vec::with_capacity(count);
        let reading = async {
            while numbers.len() < count {
                let line = self.handled.next_line().await.expect("output").expect("the child lives");
                numbers.push(line.parse().expect("a number"));
            }
        };
        within(ARRIVE, "the child's work", reading).await;
        numbers
    }

    /// Kills it with SIGKILL; it is gone when this returns.
    pub(crate) async fn kill(mut self) {
        within(ARRIVE, "the kill", self.process.kill()).await.expect("it is dead");
    }
}

/// A bus at `url`, with queues that outlive the node.
pub(crate) async fn bus(url: &str) -> Bus {
    let url = TransportUrl::parse(url).expect("a URL");
    let config = AmqpConfig::default().with_durable_queues(true);
    Bus::new(AmqpTransport::connect(&url, config, soon()).await.expect("a connection"))
}
