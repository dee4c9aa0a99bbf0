//! Calls that take long: heartbeats while they run, and answers that come too late.

use std::sync::Arc;
use std::time::Duration;

use oslo_messaging::{Context, ErrorKind, Executed, Payload, RpcClient, Target};
use serde_json::json;

use crate::budget::{ARRIVE, MONITOR, soon, stays_quiet};
use crate::command::{call, client};
use crate::rust_server::RustServer;
use crate::setting::Setting;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(heartbeats_of_python_keep_a_call_of_rust_alive),
    test!(heartbeats_of_rust_keep_a_call_of_python_alive),
    test!(rust_gives_up_a_monitored_call_that_python_is_silent_about),
    test!(a_late_reply_of_python_disturbs_no_other_call_of_rust),
    test!(a_late_reply_of_rust_disturbs_no_other_call_of_python),
    test!(a_monitored_call_that_rust_refuses_leaves_no_heartbeat_behind),
];

/// Twice as long as a monitored call may be silent.
const LONG: u64 = 4;
/// How long a call that heartbeats keep alive may be silent, so that a busy machine has time for each of them.
const PATIENT: Duration = Duration::from_secs(4);
/// How long such a call takes, and how many heartbeats that makes at most.
const LONGER: u64 = 8;
const BEATS: u64 = LONGER / (PATIENT.as_secs() / 2);

fn slow(secs: u64) -> Payload {
    Payload::encode(&json!({"secs": secs})).expect("JSON")
}

async fn heartbeats_of_python_keep_a_call_of_rust_alive(setting: Arc<Setting>) {
    let bus = setting.bus().await;
    let client = RpcClient::new(&bus, Target::topic(setting.python_topic().await)).timeout(ARRIVE).monitor(PATIENT);
    assert_eq!(client.call::<u64>(&Context::new(), "slow", &slow(LONGER)).await.unwrap(), LONGER);
    bus.close(soon()).await.unwrap();
}

async fn heartbeats_of_rust_keep_a_call_of_python_alive(setting: Arc<Setting>) {
    let (bus, transport) = setting.bus_and_transport().await;
    let topic = setting.unique("monitor");
    let server = RustServer::start(&bus, &topic, "rust").await;
    let slow = call(json!({"topic": topic}), "slow", json!({"secs": LONGER}));
    let monitored = client(slow, "call_monitor_timeout", PATIENT.as_secs());
    assert_eq!(setting.peer().await.ok(monitored).await, LONGER);
    server.stop().await;
    // And the answer; on a busy machine some are late.
    let sent = transport.counters().publishes;
    assert!((3..=BEATS + 1).contains(&sent), "{sent} messages were sent");
    bus.close(soon()).await.unwrap();
}

async fn rust_gives_up_a_monitored_call_that_python_is_silent_about(setting: Arc<Setting>) {
    let bus = setting.bus().await;
    let client = RpcClient::new(&bus, Target::topic(setting.python_topic().await)).timeout(ARRIVE);
    // Half of it is less than a second, so the server sends no heartbeat.
    let impatient = client.prepare().monitor(Duration::from_secs(1));
    let error = impatient.call::<u64>(&Context::new(), "slow", &slow(LONG)).await.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe));
    assert!(error.to_string().contains("no heartbeat"), "{error}");
    bus.close(soon()).await.unwrap();
}

async fn a_late_reply_of_python_disturbs_no_other_call_of_rust(setting: Arc<Setting>) {
    let bus = setting.bus().await;
    let client = RpcClient::new(&bus, Target::topic(setting.python_topic().await)).timeout(ARRIVE);
    let (context, impatient) = (Context::new(), client.prepare().timeout(Duration::from_secs(1)));
    // Opens the inbox, so that none of the second goes into that.
    client.call::<()>(&context, "nothing", &()).await.unwrap();
    let (two, three) = (slow(2), slow(3));
    // The second call ends after the late reply of the first, so that one has come when this has.
    let (late, after) =
        tokio::join!(impatient.call::<u64>(&context, "slow", &two), client.call::<u64>(&context, "slow", &three));
    let error = late.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::Maybe));
    assert_eq!(after.unwrap(), 3);
    assert_eq!(bus.calls_in_flight(), 0);
    assert_eq!(client.call::<u64>(&context, "add", &json!({"a": 1, "b": 2})).await.unwrap(), 3);
    bus.close(soon()).await.unwrap();
}

async fn a_late_reply_of_rust_disturbs_no_other_call_of_python(setting: Arc<Setting>) {
    let (bus, transport) = setting.bus_and_transport().await;
    let topic = setting.unique("monitor");
    let server = RustServer::start(&bus, &topic, "rust").await;
    let target = json!({"topic": topic});
    let slow = |secs| call(target.clone(), "slow", json!({"secs": secs}));
    let peer = setting.peer().await;
    let (late, after) = tokio::join!(peer.error(client(slow(2), "timeout", 1)), peer.ok(slow(3)));
    assert_eq!(late["class"], "MessagingTimeout");
    assert_eq!(after, 3);
    assert_eq!(peer.ok(call(target.clone(), "add", json!({"a": 1, "b": 2}))).await, 3);
    server.stop().await;
    // All three were answered once, the late one too: the reply queue is there, only its caller has given up.
    assert_eq!(transport.counters().publishes, 3);
    bus.close(soon()).await.unwrap();
}

async fn a_monitored_call_that_rust_refuses_leaves_no_heartbeat_behind(setting: Arc<Setting>) {
    let (bus, transport) = setting.bus_and_transport().await;
    let topic = setting.unique("monitor");
    let server = RustServer::start(&bus, &topic, "rust").await;
    for (target, refused) in
        [(json!({"topic": topic}), "NoSuchMethod"), (json!({"topic": topic, "version": "7.0"}), "UnsupportedVersion")]
    {
        let before = transport.counters().publishes;
        let missing = client(call(target, "missing", json!({})), "call_monitor_timeout", MONITOR.as_secs());
        assert_eq!(setting.peer().await.error(missing).await["exc_type"], refused);
        stays_quiet(|| transport.counters().publishes).await;
        assert_eq!(transport.counters().publishes - before, 1, "the refusal is all that was sent");
    }
    server.stop().await;
    bus.close(soon()).await.unwrap();
}
