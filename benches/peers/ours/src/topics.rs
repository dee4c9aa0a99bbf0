//! Many servers in a process, each at a topic of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use load::{Arguments, Line, Operation, cpu_seconds, resident_bytes};
use oslo_messaging::{Bus, RpcServer};
use tokio::time::{Instant, sleep};

use crate::PROGRAM;
use crate::bus::{connect, server_at};
use crate::call::Call;
use crate::echo::Echo;

/// How long the idle process is watched.
const IDLE: Duration = Duration::from_secs(2);

/// Starts `--topics` servers, all at once or with `--start serial` one after the other, watches those that started idle, and
/// calls them in turn for the measured time.
pub async fn run(arguments: &Arguments) -> Line {
    let topics: usize = arguments.number("topics", 500);
    let bus = connect(arguments).await;
    let names: Vec<String> = (0..topics).map(|n| format!("{}-{n}", arguments.topic())).collect();
    let before = resident_bytes();
    let starting = Instant::now();
    let servers = start(&bus, &names, arguments.text("start", "together") == "serial").await;
    let started = starting.elapsed().as_secs_f64();
    let each = resident_bytes().saturating_sub(before) as f64 / servers.len() as f64;

    let idle_before = cpu_seconds(std::process::id());
    sleep(IDLE).await;
    let idle = (cpu_seconds(std::process::id()) - idle_before) / IDLE.as_secs_f64();

    let calls = servers.iter().map(|(topic, _)| Call::at(&bus, topic.clone(), arguments)).collect();
    let turns = Turns { calls, next: Arc::default() };
    let line = load::drive(PROGRAM, arguments, turns).await;
    line.with("start_seconds", started)
        .with("servers", servers.len())
        .with("resident_bytes_each", each)
        .with("idle_cpu_share", idle)
}

/// The servers that started, with their topics. One that does not is reported, and the others go on.
async fn start(bus: &Bus, topics: &[String], serial: bool) -> Vec<(String, RpcServer)> {
    let echo = Echo::default();
    let mut results = Vec::new();
    if serial {
        for topic in topics {
            results.push(server_at(bus, topic.clone(), "s", &echo).await);
        }
    } else {
        let starting = topics.iter().map(|topic| {
            let (bus, topic, echo) = (bus.clone(), topic.clone(), echo.clone());
            tokio::spawn(async move { server_at(&bus, topic, "s", &echo).await })
        });
        for server in starting.collect::<Vec<_>>() {
            results.push(server.await.expect("a start does not panic"));
        }
    }
    if let Some(error) = results.iter().find_map(|result| result.as_ref().err()) {
        eprintln!("a server did not start: {error}");
    }
    topics.iter().cloned().zip(results).filter_map(|(topic, result)| Some((topic, result.ok()?))).collect()
}

/// Calls one topic after the other.
#[derive(Clone)]
struct Turns {
    calls: Arc<[Call]>,
    next: Arc<AtomicUsize>,
}

impl Operation for Turns {
    async fn run(&self) -> bool {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.calls.len();
        self.calls[turn].run().await
    }
}
