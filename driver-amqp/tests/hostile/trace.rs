//! What a process logs when everything is logged: no body and no password.

use std::convert::Infallible;
use std::env;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;

use oslo_messaging::config::TransportUrl;
use oslo_messaging::notify::{DeadLetters, FailurePolicy, MessagingSink};
use oslo_messaging::{
    Bus, Context, Endpoint, Event, Failure, NotificationEndpoint, NotificationListener, Notifier, Priority, RpcClient,
    RpcServer, Target,
};
use oslo_messaging_amqp::{AmqpConfig, AmqpTransport};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::runtime::Runtime;
use tracing_subscriber::filter::LevelFilter;

use testkit::stage::{ARRIVE, Stage, soon, within};

/// The URL that the child connects to; its password is a marker.
const URL: &str = "OSLO_TEST_TRACE_URL";
/// How often each thing is done.
const TIMES: usize = 40;

/// What must not be logged, and where it stands.
const MARKERS: [(&str, &str); 6] = [
    ("an argument", "marker0argument0Zq"),
    ("a result", "marker0result000Zq"),
    ("a returned request", "marker0returned0Zq"),
    ("an event", "marker0event0000Zq"),
    ("a password", "marker0password0Zq"),
    ("a wrong password", "marker0wrong0000Zq"),
];

/// A process that logs at `trace` does everything once; then what it logged is searched.
pub(crate) async fn shows_no_body_and_no_password() {
    let stage = Stage::shared().await;
    let user = format!("user-{}", stage.vhost);
    let (name, vhost) = (user.clone(), stage.vhost.clone());
    let add = move |stage: &Stage| {
        stage.node.add_user(&name, marker("a password")).expect("a user");
        stage.node.set_permissions(&name, &vhost, ".*", ".*", ".*").expect("its rights");
    };
    stage.control(add).await;
    let url = stage.node.url_as(&user, marker("a password"), &stage.vhost);
    let mut child = Command::new(env::current_exe().expect("a running program has a path"));
    child.env(URL, url).stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = within(ARRIVE * 4, "the child", child.output()).await.expect("it runs");
    let log = String::from_utf8_lossy(&output.stdout).replace('\\', "");
    assert!(output.status.success(), "{}", last_lines(&log));
    // What is logged at all is there.
    for target in ["oslo_messaging", "lapin::"] {
        assert!(log.contains(target), "nothing of {target} was logged");
    }
    let found: Vec<_> = MARKERS.iter().filter_map(|(name, marker)| find(&log, name, marker)).collect();
    assert!(found.is_empty(), "{} of {} bytes:\n{}", found.len(), log.len(), found.join("\n"));
}

/// What this process does, if it is the child.
pub(crate) fn child() -> Option<ExitCode> {
    let url = env::var(URL).ok()?;
    let format = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_ansi(false);
    format.init();
    Runtime::new().expect("a runtime").block_on(scenario(&url));
    Some(ExitCode::SUCCESS)
}

async fn scenario(url: &str) {
    let bus = bus(url).await;
    let endpoint = Endpoint::new(()).method("echo", async |_: Arc<()>, _: Context, _: Value| {
        Ok::<_, Infallible>(json!({"result": marker("a result")}))
    });
    let server = RpcServer::builder(&bus, Target::topic("t").server("host-1")).endpoint(endpoint);
    let server = server.start(soon()).await.expect("a server");
    let failing = NotificationEndpoint::new(()).on(Priority::Info, "*", async |_: Arc<()>, _: Event<Value>| {
        Err::<(), _>(Failure::new("shop", "Broken", "it fails"))
    });
    let listener = NotificationListener::builder(&bus).target(Target::topic("events")).endpoint(failing);
    let listener =
        listener.on_failure(FailurePolicy::default().with_attempts(1)).start(soon()).await.expect("a listener");
    let client = RpcClient::new(&bus, Target::topic("t"));
    let nowhere = RpcClient::new(&bus, Target::topic("nowhere"));
    let notifier = Notifier::from_sink("shop", MessagingSink::new(&bus).topics(["events"]));
    let context = Context::new();
    for _ in 0..TIMES {
        let answer: Value =
            client.call(&context, "echo", &json!({"a": marker("an argument")})).await.expect("an answer");
        assert_eq!(answer["result"], marker("a result"));
        let returned = nowhere.call::<Value>(&context, "echo", &json!({"a": marker("a returned request")})).await;
        returned.expect_err("nothing is bound");
        notifier.info(&context, "order.created", &json!({"a": marker("an event")})).await.expect("it is sent");
    }
    let mut dead = DeadLetters::open(&bus, "events.info", soon()).await.expect("dead letters");
    for _ in 0..TIMES {
        let letter = dead.next(ARRIVE).await.expect("no error").expect("a dead letter");
        letter.discard().await.expect("it is thrown away");
    }
    dead.close(soon()).await.expect("it closes");
    let wrong = url.replace(marker("a password"), marker("a wrong password"));
    let refused = AmqpTransport::connect(&transport_url(&wrong), AmqpConfig::default(), soon()).await;
    tracing::error!(error = %refused.expect_err("the password is wrong"), "refused");
    listener.shutdown(soon()).await.expect("it stops");
    server.shutdown(soon()).await.expect("it stops");
    bus.close(soon()).await.expect("it closes");
}

async fn bus(url: &str) -> Bus {
    Bus::new(AmqpTransport::connect(&transport_url(url), AmqpConfig::default(), soon()).await.expect("a connection"))
}

fn transport_url(url: &str) -> TransportUrl {
    TransportUrl::parse(url).expect("a URL")
}

fn marker(name: &str) -> &'static str {
    MARKERS.iter().find(|(known, _)| *known == name).expect("a known marker").1
}

/// The first place where `marker` stands in a form that gives it away.
fn find(log: &str, name: &str, marker: &str) -> Option<String> {
    let decimals: Vec<_> = marker.bytes().map(|byte| byte.to_string()).collect();
    let hexadecimals: Vec<_> = marker.bytes().map(|byte| format!("{byte:02x}")).collect();
    let base64 = (0..3).map(|offset| ("base64", base64_within(marker.as_bytes(), offset)));
    let forms =
        [("text", marker.to_owned()), ("decimals", decimals.join(", ")), ("hexadecimals", hexadecimals.concat())];
    forms.into_iter().chain(base64).find_map(|(form, text)| {
        let at = log.find(&text)?;
        let start = log[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line: String = log[start..].chars().take(160).collect();
        Some(format!("{name} as {form}: {line}"))
    })
}

/// What stands in base64 of any text that holds `bytes` so many bytes behind a multiple of three: without its ends, which
/// depend on the neighbours.
fn base64_within(bytes: &[u8], offset: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let whole = &bytes[(3 - offset) % 3..];
    let threes = whole.chunks_exact(3).map(|three| u32::from_be_bytes([0, three[0], three[1], three[2]]));
    threes.flat_map(|bits| [18, 12, 6, 0].map(|shift| char::from(LETTERS[(bits >> shift) as usize & 63]))).collect()
}

fn last_lines(log: &str) -> String {
    let lines: Vec<_> = log.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// The search finds what it must not find in a log.
pub(crate) async fn is_searched_for_every_form() {
    let marker = "marker0argument0Zq";
    for (form, log) in [
        ("text", format!("a {marker} b")),
        (
            "decimals",
            "[109, 97, 114, 107, 101, 114, 48, 97, 114, 103, 117, 109, 101, 110, 116, 48, 90, 113]".to_owned(),
        ),
        ("base64", "bWFya2VyMGFyZ3VtZW50MFpx".to_owned()),
        ("base64", "eG1hcmtlcjBhcmd1bWVudDBacQ==".to_owned()),
    ] {
        let found = find(&log, "it", marker).unwrap_or_else(|| panic!("{form} was not found"));
        assert!(found.starts_with(&format!("it as {form}")), "{found}");
    }
    assert_eq!(find("marker0argument0 Zq", "it", marker), None);
}
