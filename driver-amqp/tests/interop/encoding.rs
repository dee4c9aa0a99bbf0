//! What we encode, the reference's own code decodes to the same values.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use oslo_messaging::wire::{CallFields, Reply, Request};
use oslo_messaging::{Failure, Payload};
use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::sample::{self, Failed};
use crate::setting::Setting;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test!(the_reference_reads_our_requests),
    test!(the_reference_reads_our_replies),
    test!(the_reference_raises_our_failures),
    test!(the_reference_reads_random_requests),
    test!(the_reference_reads_random_replies),
    test!(the_reference_raises_random_failures),
];

/// How many of each kind are generated, from a seed that is always the same.
const SAMPLES: usize = 120;
const SEED: [u8; 32] = [183; 32];

/// What the reference makes of each body.
async fn decoded(setting: &Setting, bodies: impl Iterator<Item = Bytes>) -> Vec<Value> {
    let bodies: Vec<_> = bodies.map(|body| String::from_utf8(body.into()).expect("bodies are JSON")).collect();
    let count = bodies.len();
    let Value::Array(decoded) = setting.peer().await.ok(json!({"do": "decode", "bodies": bodies})).await else {
        panic!("a list is decoded to a list")
    };
    assert_eq!(decoded.len(), count);
    decoded
}

fn samples<T: Debug>(of: &impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &SEED));
    (0..SAMPLES).map(|_| of.new_tree(&mut runner).expect("nothing is filtered out").current()).collect()
}

fn payload(value: &Value) -> Payload {
    Payload::from(value.clone())
}

async fn the_reference_reads_our_requests(setting: Arc<Setting>) {
    let cast = Request::new("ping", payload(&json!({}))).with_unique_id("u1");
    let call = Request::new("echo", payload(&json!({"arg": {"k": [1, "ü\"\\", null, true]}})))
        .with_namespace(Some("ns".into()))
        .with_version(Some("1.1".into()))
        .with_call(Some(CallFields::new("m2", "reply_2")))
        .with_unique_id("u2")
        .with_deadline(Some(1_798_761_600_000))
        .with_context(vec![
            ("user".into(), payload(&json!("älice"))),
            ("nested".into(), payload(&json!({"a": [1, 2.5, null, {"deep": {}}]}))),
        ]);
    let mut monitored = Request::new("slow", payload(&json!({"secs": 4}))).with_unique_id("u3");
    monitored.call = Some(CallFields::new("m3", "reply_3").with_monitor(Some(2.0)));
    let decoded = decoded(&setting, [cast, call, monitored].iter().map(Request::encode)).await;
    assert_eq!(decoded[0], json!({"value": {"method": "ping", "args": {}, "_unique_id": "u1"}}));
    let expected = json!({
        "method": "echo", "args": {"arg": {"k": [1, "ü\"\\", null, true]}}, "namespace": "ns", "version": "1.1",
        "_msg_id": "m2", "_reply_q": "reply_2", "_timeout": null, "_unique_id": "u2", "_deadline": 1_798_761_600_000_u64,
        "_context_user": "älice", "_context_nested": {"a": [1, 2.5, null, {"deep": {}}]},
    });
    assert_eq!(decoded[1], json!({"value": expected}));
    let expected = json!({"method": "slow", "args": {"secs": 4}, "_msg_id": "m3", "_reply_q": "reply_3", "_timeout": 2,
        "_unique_id": "u3"});
    assert_eq!(decoded[2], json!({"value": expected}));
}

async fn the_reference_reads_our_replies(setting: Arc<Setting>) {
    let results = [json!(null), json!(0), json!(""), json!([]), json!({}), json!(false), json!(true), json!(-1.5)];
    let more = [json!("\u{0}\u{1f}\"\\/ü😀"), json!(i64::MIN), json!(u64::MAX), json!([[{"a": [null, {"": 1e300}]}]])];
    let results: Vec<Value> = results.into_iter().chain(more).collect();
    let replies = results.iter().map(|result| Reply::result("m", "u", payload(result)).encode());
    let decoded = decoded(&setting, replies.chain([Reply::heartbeat("m", "u").encode()])).await;
    let reply = |result: &Value, ending| json!({"value": {"result": result, "failure": null, "ending": ending, "_msg_id": "m", "_unique_id": "u"}});
    let mut expected: Vec<Value> = results.iter().map(|result| reply(result, true)).collect();
    expected.push(reply(&Value::Null, false));
    assert_eq!(decoded, expected);
}

async fn the_reference_raises_our_failures(setting: Arc<Setting>) {
    let serialized = json!({"class": "Refused", "module": "peer_errors", "message": "no \"room\"", "tb": ["a\n", "b\n"],
        "args": ["no room", 507, null], "kwargs": {"shelf": 3, "why": {"nested": ["ü"]}}});
    let failure = Failure::new("peer_errors", "Refused", "no \"room\"")
        .with_args(("no room", 507, ()))
        .with_kwargs(&serialized["kwargs"])
        .with_traceback(["a\n", "b\n"]);
    let custom = Failed { failure, rebuilt: "Refused_Remote", serialized };
    let serialized = json!({"class": "NoSuchMethod", "module": "oslo_messaging.rpc.dispatcher", "kwargs": {}, "tb": [],
        "message": "Endpoint does not support RPC method m", "args": ["Endpoint does not support RPC method m"]});
    let refusal = Failed { failure: Failure::no_such_method("m"), rebuilt: "RemoteError", serialized };
    assert_raised(&setting, &[custom, refusal]).await;
}

async fn the_reference_reads_random_requests(setting: Arc<Setting>) {
    let samples = samples(&sample::request());
    let decoded = decoded(&setting, samples.iter().map(|(request, _)| request.encode())).await;
    for ((request, expected), decoded) in samples.iter().zip(decoded) {
        assert_eq!(decoded, json!({"value": expected}), "{}", String::from_utf8_lossy(&request.encode()));
    }
}

async fn the_reference_reads_random_replies(setting: Arc<Setting>) {
    let samples = samples(&sample::reply());
    let decoded = decoded(&setting, samples.iter().map(|(reply, _)| reply.encode())).await;
    for ((reply, expected), decoded) in samples.iter().zip(decoded) {
        assert_eq!(decoded, json!({"value": expected}), "{}", String::from_utf8_lossy(&reply.encode()));
    }
}

async fn the_reference_raises_random_failures(setting: Arc<Setting>) {
    let samples = samples(&sample::failed());
    assert_raised(&setting, &samples).await;
}

/// Asserts what the reference reads of each failure, and what a caller there would catch.
async fn assert_raised(setting: &Setting, failures: &[Failed]) {
    let replies = failures.iter().map(|failed| Reply::failure("m", "u", &failed.failure).encode());
    let decoded = decoded(setting, replies).await;
    for (Failed { rebuilt, serialized, .. }, mut decoded) in failures.iter().zip(decoded) {
        assert_eq!(decoded["serialized"], *serialized);
        let reply = decoded["value"].as_object_mut().expect("a reply is an object");
        assert!(reply.remove("failure").is_some_and(|failure| failure.is_string()), "text in a string");
        assert_eq!(decoded["value"], json!({"result": null, "ending": true, "_msg_id": "m", "_unique_id": "u"}));
        let raised = &decoded["failure"];
        assert_eq!(raised["class"], *rebuilt, "{serialized}");
        let lines: Vec<_> = serialized["tb"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        let text = format!("{}\n{}", serialized["message"].as_str().unwrap(), lines.join("\n"));
        match *rebuilt {
            // Its first argument is all there is to say.
            "ValueError" => assert_eq!(raised["args"][0], text),
            "RemoteError" => {
                assert_eq!((&raised["exc_type"], &raised["value"]), (&serialized["class"], &serialized["message"]));
                assert_eq!(raised["traceback"], serialized["tb"]);
            }
            _ => {
                assert_eq!((&raised["args"], &raised["kwargs"]), (&serialized["args"], &serialized["kwargs"]));
                assert_eq!(raised["message"], text);
            }
        }
    }
}
