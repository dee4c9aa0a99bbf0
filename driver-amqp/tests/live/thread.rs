//! What a connection that failed leaves behind: nothing. Each case runs alone, since it counts the threads of the process.

use std::time::Duration;

use oslo_messaging::driver::Transport;
use oslo_messaging::{Deadline, ErrorKind};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use tokio::time::Instant;

use crate::silent::Silent;
use testkit::process::{self, io_threads};
use testkit::stage::{ARRIVE, SLACK, Stage, back, blocking, refusal, server, soon, subscribe, until, url, within};

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
        _ = &mut connecting => panic!("the host does not answer"),
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

pub(crate) async fn connections_that_were_made_again_leave_none() {
    none_is_left().await;
    let stage = Stage::shared().await;
    let sockets = process::sockets();
    let transport = stage.connect().await;
    let listener = subscribe(&transport, &server("again")).await;
    for times in 1..=5 {
        stage.close_connections("again").await;
        back(&transport, times).await;
    }
    until("the threads of the lost connections to end", async || io_threads() == 2).await;
    listener.close(soon()).await.expect("the broker answers");
    transport.close(soon()).await.expect("the broker answers");
    none_is_left().await;
    until("the sockets to be closed", async || process::sockets() <= sockets).await;
}

/// The second host accepts and never answers, so that a try to connect is under way for long.
pub(crate) async fn a_transport_that_is_connecting_again_leaves_none_after_a_close_or_a_drop() {
    none_is_left().await;
    let (mut node, stage) = Stage::own().await;
    let silent = Silent::listen().await;
    let sockets = process::sockets();
    let good = format!("guest:guest@127.0.0.1:{}", stage.node.port());
    let address = url(&format!("rabbit://{good},guest:guest@127.0.0.1:{}/{}", silent.port, stage.vhost));
    let connect = async || AmqpTransport::connect(&address, AmqpConfig::default(), soon()).await.expect("one answers");
    let (closed, dropped) = (connect().await, connect().await);
    let listener = subscribe(&dropped, &server("again")).await;
    blocking(move || node.kill().expect("it is killed")).await;
    until("tries to connect again", async || silent.connections() == 2).await;
    within(SLACK, "closing", closed.close(soon())).await.expect("there is no peer to wait for");
    until("one try to be over", async || silent.connections() == 1).await;
    drop((closed, dropped, listener));
    until("the other try to be over", async || silent.connections() == 0).await;
    none_is_left().await;
    until("the sockets to be closed", async || process::sockets() <= sockets).await;
}

async fn none_is_left() {
    until("the threads of lapin to end", async || io_threads() == 0).await;
}
