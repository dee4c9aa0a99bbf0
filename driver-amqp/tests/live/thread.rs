//! What a connection that failed leaves behind: nothing. Each case runs alone, since it counts the threads of the process.

use std::time::Duration;

use oslo_messaging::{Deadline, ErrorKind, Transport};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use tokio::time::Instant;

use crate::silent::Silent;
use crate::stage::{ARRIVE, SLACK, Stage, refusal, server, soon, subscribe, until, url, within};

pub(crate) async fn a_host_that_never_answers_times_out_and_leaves_none() {
    none_is_left().await;
    let silent = Silent::listen().await;
    let started = Instant::now();
    let deadline = Deadline::after(Duration::from_secs(2));
    let address = url(&silent.url());
    let connecting = AmqpTransport::connect(&address, AmqpConfig::default(), deadline);
    let error = refusal(within(ARRIVE, "connect", connecting).await);
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(started.elapsed() < Duration::from_secs(2) + SLACK, "{:?}", started.elapsed());
    until("the socket to be closed", async || silent.connections() == 0).await;
    none_is_left().await;
}

pub(crate) async fn a_connect_that_is_dropped_leaves_none() {
    none_is_left().await;
    let silent = Silent::listen().await;
    let address = url(&silent.url());
    let mut connecting = Box::pin(AmqpTransport::connect(&address, AmqpConfig::default(), soon()));
    tokio::select! {
        _ = &mut connecting => panic!("nobody answers"),
        () = until("the connection", async || silent.connections() == 1) => {}
    }
    drop(connecting);
    until("the socket to be closed", async || silent.connections() == 0).await;
    none_is_left().await;
}

pub(crate) async fn a_frozen_node_leaves_none_after_a_close_or_a_drop() {
    none_is_left().await;
    let (_node, stage) = Stage::own().await;
    let (closed, dropped) = (stage.connect().await, stage.connect().await);
    let listener = subscribe(&dropped, &server("frozen")).await;
    let frozen = stage.control(|stage| stage.node.pause().expect("it is frozen")).await;
    let deadline = Deadline::after(Duration::from_secs(1));
    assert_eq!(refusal(closed.close(deadline).await).kind(), ErrorKind::Timeout);
    drop((closed, listener, dropped));
    none_is_left().await;
    drop(frozen);
}

async fn none_is_left() {
    until("the threads of lapin to end", async || io_threads() == 0).await;
}

/// The threads of this process that drive a connection of lapin's.
fn io_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("a list of threads");
    let name =
        |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(entry.ok()?.path().join("comm")).ok();
    tasks.filter_map(name).filter(|name| name.trim() == "lapin-io-loop").count()
}
