//! A process that has run out of file descriptors when its connection is lost.

use std::env;
use std::fs::File;
use std::io::Write as _;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use oslo_messaging::State;
use oslo_messaging::driver::Transport;
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tokio::runtime::Runtime;

use testkit::stage::{Stage, back, server, soon, subscribe, url, within};

/// The URL of the broker, for the process that runs out.
const CHILD: &str = "OSLO_TEST_DESCRIPTORS_CHILD";
/// For each step of it.
const STEP: Duration = Duration::from_secs(60);

/// Does the work of the process that runs out, if this is it: says when it is `full`, and when it is connected `again`.
pub(crate) fn child() -> Option<ExitCode> {
    let address = env::var(CHILD).ok()?;
    let say = |what: &str| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{what}").and_then(|()| out.flush()).expect("the other process reads");
    };
    Runtime::new().expect("a runtime").block_on(async {
        let transport = AmqpTransport::connect(&url(&address), AmqpConfig::default(), soon()).await;
        let transport = transport.expect("a connection");
        let _listener = subscribe(&transport, &server("descriptors")).await;
        let taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        say("full");
        let mut health = transport.health();
        let lost = health.wait_for(|health| matches!(health.state, State::Lost { .. }));
        within(STEP, "the loss", lost).await.expect("a state");
        // A try to connect meanwhile cannot succeed.
        tokio::time::sleep(Duration::from_millis(500)).await;
        drop(taken);
        for times in 1..=2 {
            back(&transport, times).await;
            say("again");
        }
    });
    Some(ExitCode::SUCCESS)
}

pub(crate) async fn a_process_that_runs_out_of_them_once_panics_neither_then_nor_later() {
    let stage = Stage::shared().await;
    let program = env::current_exe().expect("a running program has a path");
    let mut process = Command::new("sh")
        .args(["-c", "ulimit -n 256 && exec \"$0\""])
        .arg(program)
        .env(CHILD, stage.node.url_as("guest", "guest", &stage.vhost))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("this program starts again");
    let mut said = BufReader::new(process.stdout.take().expect("it was piped")).lines();
    for expected in ["full", "again"] {
        let line = within(STEP, expected, said.next_line()).await.expect("output");
        assert_eq!(line.as_deref(), Some(expected));
        stage.close_connections("descriptors").await;
    }
    assert_eq!(within(STEP, "the second return", said.next_line()).await.expect("output").as_deref(), Some("again"));
    let mut log = String::new();
    let mut stderr = process.stderr.take().expect("it was piped");
    within(STEP, "the end", stderr.read_to_string(&mut log)).await.expect("text");
    assert!(within(STEP, "the end", process.wait()).await.expect("a status").success(), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}
