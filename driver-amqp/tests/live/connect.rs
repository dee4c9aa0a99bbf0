//! How connecting fails: each reason distinct, readable, in time, and without the password.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::driver::Transport;
use oslo_messaging::{Bus, Context, Deadline, Error, ErrorKind, Executed, RpcClient, State, Target};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::silent::Silent;
use testkit::stage::{ARRIVE, Stage, blocking, refusal, server, soon, subscribe, unique, until, url, within};

const PASSWORD: &str = "s3cr3t-passphrase";

pub(crate) async fn a_wrong_password_is_denied_and_never_shown() {
    let stage = Stage::shared().await;
    let error = refused(&stage.node.url_as("guest", PASSWORD, &stage.vhost)).await;
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    let text = error.to_string();
    assert!(text.contains("guest") && text.contains(&format!("127.0.0.1:{}", stage.node.port())), "{text}");
    assert!(!text.contains(PASSWORD) && !format!("{error:?}").contains(PASSWORD), "{error:?}");
}

pub(crate) async fn an_unknown_virtual_host_is_named() {
    let (stage, vhost) = (Stage::shared().await, unique("missing"));
    let error = refused(&stage.node.url_as("guest", "guest", &vhost)).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.context().any(|fact| fact == ("virtual_host", &vhost)), "{error}");
}

pub(crate) async fn a_virtual_host_that_is_closed_to_the_user_is_denied() {
    let (stage, user) = (Stage::shared().await, unique("u"));
    let name = user.clone();
    stage.control(move |stage| stage.node.add_user(&name, PASSWORD).expect("a user")).await;
    let error = refused(&stage.node.url_as(&user, PASSWORD, &stage.vhost)).await;
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.context().any(|fact| fact == ("user", &user)), "{error}");
    assert!(!format!("{error:?}").contains(PASSWORD), "{error:?}");
}

pub(crate) async fn nothing_listening_is_disconnected() {
    let port = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address").port();
    let (begun, soon) = (Instant::now(), Deadline::after(Duration::from_secs(2)));
    let address = url(&format!("rabbit://guest:{PASSWORD}@127.0.0.1:{port}/"));
    let error = refusal(within(ARRIVE, "connect", AmqpTransport::connect(&address, AmqpConfig::default(), soon)).await);
    assert!(begun.elapsed() > Duration::from_secs(1), "it may pass, so it is tried until the deadline: {error}");
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Disconnected, true), "{error}");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    assert!(!format!("{error:?}").contains(PASSWORD), "{error:?}");
}

pub(crate) async fn unknown_options_and_values_are_refused_before_connecting() {
    for (url, reason) in [
        ("rabbit://127.0.0.1:1/?rabbit_quantum_queue=true", "rabbit_quantum_queue"),
        ("rabbit://127.0.0.1:1/?amqp_durable_queues=perhaps", "perhaps"),
    ] {
        let error = refused(url).await;
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

pub(crate) async fn a_virtual_host_of_256_bytes_is_refused() {
    let stage = Stage::shared().await;
    let error = refused(&stage.node.url_as("guest", "guest", &"v".repeat(256))).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

pub(crate) async fn a_second_host_is_taken_when_the_first_refuses() {
    let port = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address").port();
    failover(port, AmqpConfig::default(), ARRIVE).await;
}

pub(crate) async fn a_second_host_is_taken_when_the_first_never_answers() {
    let silent = Silent::listen().await;
    // Under the time that one host may take: the first must not use up what the second needs.
    let mut config = AmqpConfig::default();
    config.connect_timeout = Duration::from_secs(30);
    failover(silent.port, config, Duration::from_secs(16)).await;
}

pub(crate) async fn a_peer_that_is_no_broker_is_called_what_it_is() {
    for (answer, kind, reason) in [
        (
            &b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n"[..],
            ErrorKind::Disconnected,
            "HTTP/1.1 503 Service",
        ),
        (b"AMQP\x00\x01\x00\x00", ErrorKind::Disconnected, "AMQP 1.0"),
        (b"AMQP\x03\x01\x00\x00", ErrorKind::Disconnected, "AMQP 1.0"),
        (b"\x15\x03\x03\x00\x02\x02\x46", ErrorKind::Config, "amqps://"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ErrorKind::Disconnected, "SSH-2.0"),
    ] {
        let stranger = Answering::start(answer).await;
        let address = url(&format!("rabbit://guest:guest@127.0.0.1:{}/", stranger.port));
        // Half of what one host may take: the stranger keeps its side open, and is not waited for.
        let deadline = Deadline::after(AmqpConfig::default().connect_timeout / 2);
        let error = refusal(AmqpTransport::connect(&address, AmqpConfig::default(), deadline).await);
        assert!(error.kind() == kind && error.to_string().contains(reason), "{error}");
        // As after a plain close, the next try comes soon: a balancer may have its broker back.
        assert_eq!(error.is_transient(), kind == ErrorKind::Disconnected, "{error}");
    }
}

pub(crate) async fn a_login_that_fits_into_no_frame_is_refused_with_the_reason() {
    let stage = Stage::shared().await;
    let long = PASSWORD.repeat(4_500 / PASSWORD.len());
    let error = refused(&stage.node.url_as("guest", &long, &stage.vhost)).await;
    let text = error.to_string();
    match error.kind() {
        // From RabbitMQ 4.1 on it fits, and is wrong.
        ErrorKind::Denied => {}
        ErrorKind::Config => assert!(text.contains("initial_frame_max") && !error.is_transient(), "{text}"),
        _ => panic!("{text}"),
    }
    assert!(!text.contains(PASSWORD), "{text}");
}

pub(crate) async fn the_lower_heartbeat_counts_and_none_is_the_broker_s() {
    let stage = Stage::shared().await;
    let ask = ["eval", "{ok, Seconds} = application:get_env(rabbit, heartbeat), Seconds."];
    let theirs = stage.control(move |stage| stage.node.rabbitmqctl(&ask).expect("a number")).await;
    let theirs: u16 = theirs.trim().parse().expect("a number");
    for (ours, agreed) in [(theirs - 3, theirs - 3), (theirs + 3, theirs), (0, theirs)] {
        let config = AmqpConfig::default().with_option("heartbeat_timeout_threshold", &format!("{ours}"));
        let transport = stage.connect_with(config.expect("an option")).await;
        let list = ["--no-table-headers", "list_connections", "vhost", "timeout"];
        let connections = stage.control(move |stage| stage.node.rabbitmqctl(&list).expect("the connections")).await;
        let here = connections.lines().filter_map(|line| line.trim().strip_prefix(&stage.vhost)?.trim().parse().ok());
        assert_eq!(here.collect::<Vec<u16>>(), [agreed; 2], "{ours} s: {connections}");
        transport.close(soon()).await.expect("a close");
    }
}

pub(crate) async fn a_broker_that_starts_late_is_found_by_the_first_connection() {
    let (node, stage) = Stage::own().await;
    let mut node = blocking(move || {
        let mut node = node;
        node.kill().expect("it is dead");
        node
    })
    .await;
    let (address, deadline) = (stage.url(), Deadline::after(ARRIVE * 2));
    let connecting = tokio::spawn(async move {
        let begun = Instant::now();
        AmqpTransport::connect(&address, AmqpConfig::default(), deadline).await.map(|link| (link, begun.elapsed()))
    });
    let _node = blocking(move || {
        node.restart().expect("it starts");
        node
    })
    .await;
    let (transport, took) = within(ARRIVE * 2, "connect", connecting).await.expect("no panic").expect("it is there");
    assert!(took > Duration::from_millis(500), "a node does not start at once: {took:?}");
    transport.close(soon()).await.expect("it answers");
}

/// Without its runtime a transport has no task that reads, writes or connects again.
pub(crate) async fn a_transport_whose_runtime_is_dropped_is_closed() {
    let stage = Stage::shared().await;
    let runtime = Runtime::new().expect("a runtime");
    let (transport, bus, reader) = within(ARRIVE, "connect", {
        let stage = stage.clone();
        runtime.spawn(async move {
            let transport = Arc::new(stage.connect().await);
            let reader = subscribe(&transport, &server("gone")).await;
            let bus = Bus::new(Arc::clone(&transport));
            let client = RpcClient::new(&bus, Target::topic("gone").exchange("x-gone"));
            // The inbox is opened by the first call, so on this runtime.
            let unanswered = client.timeout(Duration::from_millis(300)).call::<()>(&Context::new(), "m", &()).await;
            assert_eq!(refusal(unanswered).kind(), ErrorKind::Timeout);
            (transport, bus, reader)
        })
    })
    .await
    .expect("no panic");
    let client = RpcClient::new(&bus, Target::topic("gone").exchange("x-gone")).timeout(Duration::from_secs(120));
    let calling = tokio::spawn({
        let client = client.clone();
        async move { client.call::<()>(&Context::new(), "m", &()).await }
    });
    until("the request", async || transport.counters().confirms == 2).await;
    runtime.shutdown_background();
    let error = refusal(within(ARRIVE, "the call", calling).await.expect("no panic"));
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Closed, Executed::Maybe), "{error}");
    assert_eq!(transport.health().borrow().state, State::Closed);
    let next = within(ARRIVE, "the next call", Box::pin(client.call::<()>(&Context::new(), "m", &()))).await;
    assert_eq!(refusal(next).kind(), ErrorKind::Closed);
    drop(reader);
}

/// Which host comes first is random, so this tries often enough to have met the bad one.
async fn failover(bad: u16, config: AmqpConfig, budget: Duration) {
    let stage = Stage::shared().await;
    let good = stage.node.port();
    for _ in 0..6 {
        let both = format!("rabbit://guest:guest@127.0.0.1:{bad},guest:guest@127.0.0.1:{good}/{}", stage.vhost);
        let transport = AmqpTransport::connect(&url(&both), config.clone(), Deadline::after(budget)).await;
        transport.expect("the second host is there").close(soon()).await.expect("it answers");
    }
}

async fn refused(text: &str) -> Error {
    let url = url(text);
    let connecting = AmqpTransport::connect(&url, AmqpConfig::default(), soon());
    refusal(within(ARRIVE / 2, "connect", connecting).await)
}

/// A peer that gives every connection the same answer, and keeps it open.
struct Answering {
    port: u16,
    _task: AbortOnDropHandle<()>,
}

impl Answering {
    async fn start(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let task = tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut header = [0; 8];
                if stream.read_exact(&mut header).await.is_ok() && stream.write_all(answer).await.is_ok() {
                    kept.push(stream);
                }
            }
        });
        Self { port, _task: AbortOnDropHandle::new(task) }
    }
}
