//! Configuration files as operators have them, read by us and by `oslo.config`. No broker takes part.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use oslo_messaging::config::{Host, TransportUrl};
use oslo_messaging::{ConfigFile, Result, Retry};
use oslo_messaging_amqp::AmqpConfig;
use serde_json::{Map, Value, json};

use crate::setting::Setting;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[test!(files_of_operators_are_read_as_the_reference_reads_them)];

/// What a service was started with, in the folder `configuration`, and the exchange that it sets in its code.
const CASES: &[(&[&str], Option<&str>)] = &[
    (&["kolla/nova.conf"], Some("nova")),
    (&["kolla/neutron.conf", "kolla/ml2_conf.ini"], Some("neutron")),
    (&["openstack-ansible/cinder.conf"], Some("nova")),
    (&["charms/nova.conf"], None),
    (&["helm/nova.conf"], Some("nova")),
    (&["devstack/nova.conf"], None),
    (&["rhoso/nova.conf", "rhoso/nova.conf.d"], Some("nova")),
    (&["rhoso/nova.conf.d", "rhoso/nova.conf", "kolla/nova.conf"], None),
    (&["corners/continued.conf"], None),
    (&["corners/odd.conf"], None),
    (&["corners/blank.conf"], None),
    (&["corners/unknown-name.conf"], None),
    (&["corners/dollar.conf"], None),
    (&["corners/no-url.conf"], None),
    (&["corners/no-number.conf"], None),
    (&["corners/no-assignment.conf"], None),
];

async fn files_of_operators_are_read_as_the_reference_reads_them(setting: Arc<Setting>) {
    let python = setting.python().to_owned();
    let theirs = tokio::task::spawn_blocking(move || reference(&python)).await.expect("the reference answers");
    let (mut refused, mut options) = (0, 0);
    for ((files, exchange), theirs) in CASES.iter().zip(&theirs) {
        match ours(files, *exchange) {
            Ok(ours) => {
                options += theirs["rabbit"].as_object().map_or(0, Map::len);
                assert_eq!(&ours, theirs, "{files:?}");
            }
            Err(error) => {
                refused += 1;
                assert!(theirs["error"].is_string(), "{files:?}: {error}");
            }
        }
    }
    assert_eq!((theirs.len(), refused), (CASES.len(), 5));
    assert!(options >= 40, "only {options} options of [oslo_messaging_rabbit] were compared");
}

/// What the reference makes of each case.
fn reference(python: &Path) -> Vec<Value> {
    let case = |(files, exchange): &(&[&str], Option<&str>)| {
        let argument = |file: &&str| if path(file).is_dir() { "--config-dir" } else { "--config-file" };
        let arguments: Vec<_> =
            files.iter().flat_map(|file| [argument(file).into(), path(file)]).collect::<Vec<PathBuf>>();
        json!({"arguments": arguments, "exchange": exchange})
    };
    let cases = Value::Array(CASES.iter().map(case).collect()).to_string();
    let mut process = Command::new(python)
        .args(["-B", "-W", "ignore"])
        .arg(folder("tests/python").join("configuration.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    process.stdin.take().expect("it was piped").write_all(cases.as_bytes()).expect("Python reads");
    let output = process.wait_with_output().expect("Python ends");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// What we make of one case, in the form of `configuration.py`.
fn ours(files: &[&str], exchange: Option<&str>) -> Result<Value> {
    let mut file = ConfigFile::read_all(files.iter().map(|file| path(file)))?;
    if let Some(exchange) = exchange {
        file = file.with_default_exchange(exchange);
    }
    // Where a number is empty, the reference has none, and we our default.
    let empty = |option| file.get("DEFAULT", option).is_some_and(|value| value.is_empty());
    let retry = match file.get("oslo_messaging_notifications", "retry").as_deref() {
        Some("") => Value::Null,
        _ => retry(file.notification_retry()?),
    };
    let timeout = file.rpc_response_timeout()?.as_secs();
    Ok(json!({
        "url": place(&file.transport_url()?),
        "notifications_url": place(&file.notification_transport_url()?),
        "exchange": file.control_exchange(),
        "timeout": if empty("rpc_response_timeout") { Value::Null } else { timeout.into() },
        "ping": file.rpc_ping_enabled()?,
        "pool": file.executor_thread_pool_size()?.unwrap_or(64),
        "drivers": file.notification_drivers(),
        "topics": file.notification_topics(),
        "retry": retry,
        "rabbit": rabbit(&file)?,
    }))
}

fn retry(retry: Retry) -> Value {
    (-1..10).find(|times| u32::try_from(*times).map_or(Retry::until_deadline(), Retry::times) == retry).into()
}

fn place(url: &TransportUrl) -> Value {
    let host = |host: &Host| {
        let password = host.password.as_ref().map(oslo_messaging::config::Password::expose);
        json!([host.username, password, host.hostname, host.port])
    };
    let hosts: Vec<_> = url.hosts().iter().map(host).collect();
    json!({"transport": url.transport(), "virtual_host": url.virtual_host(), "hosts": hosts, "query": url.query()})
}

/// The options of `[oslo_messaging_rabbit]` that the file gives and the reference knows, as they are read here.
fn rabbit(file: &ConfigFile) -> Result<BTreeMap<String, Value>> {
    let config = AmqpConfig::default().with_file(file)?;
    let section = file.section("oslo_messaging_rabbit").filter(|(name, _)| *name != "heartbeat_in_pthread");
    Ok(section.map(|(name, text)| (name.to_owned(), option(&config, name, &text))).collect())
}

fn option(config: &AmqpConfig, name: &str, text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    match name {
        "amqp_durable_queues" => config.durable_queues.into(),
        "rabbit_quorum_queue" => config.quorum_queues.into(),
        "rabbit_transient_quorum_queue" => config.transient_quorum_queues.into(),
        "rabbit_quorum_delivery_limit" => config.quorum_delivery_limit.into(),
        "rabbit_quorum_max_memory_bytes" => config.quorum_max_memory_bytes.into(),
        "rabbit_transient_queues_ttl" => config.transient_queues_ttl.as_secs().into(),
        "rabbit_qos_prefetch_count" => config.max_prefetch.into(),
        "rabbit_stream_fanout" => config.stream_fanout.into(),
        "use_queue_manager" => config.stable_queue_names.into(),
        "hostname" => config.hostname.clone().into(),
        "heartbeat_timeout_threshold" => config.heartbeat.as_secs().into(),
        "rabbit_interval_max" => config.reconnect_wait_max.as_secs().into(),
        "rabbit_retry_interval" => config.reconnect_wait.as_secs().into(),
        "rabbit_retry_backoff" => config.reconnect_backoff.map(|wait| wait.as_secs()).into(),
        "kombu_reconnect_delay" => config.reconnect_delay.as_secs_f64().into(),
        "kombu_failover_strategy" => if config.shuffle_hosts { "shuffle" } else { "round-robin" }.into(),
        "ssl" => config.use_tls.into(),
        "ssl_ca_file" => config.tls.ca_file.clone().map(|file| file.display().to_string()).into(),
        // Without effect here: the text is read as the reference reads it.
        "rabbit_ha_queues" | "ssl_enforce_hostname_verification" => (text.to_lowercase() == "true").into(),
        "rpc_conn_pool_size" | "heartbeat_rate" => text.parse::<u64>().expect("a number").into(),
        other => panic!("{other} is compared with nothing"),
    }
}

fn path(file: &str) -> PathBuf {
    folder("tests/interop/configuration").join(file)
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}
