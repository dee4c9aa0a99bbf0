//! What an operator can count of RPC: the metrics that the documentation lists, and no other.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use common::{Shop, builder, bus_and_server, secs, soon};
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use oslo_messaging::{Bus, Context, RpcClient, Target};
use oslo_messaging_fake::{FakeBroker, Fault, FaultRule};
use serde_json::{Value, json};

fn client(bus: &Bus) -> RpcClient {
    RpcClient::new(bus, Target::topic("shop"))
}

/// Counts, by name and outcome; of a histogram, the values it was given.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<BTreeMap<String, u64>>>);

struct Counted(Counts, String);

impl Counts {
    /// What has been counted of `name`, by outcome, since the last look.
    fn take(&self, name: &str) -> Vec<(String, u64)> {
        let mut counts = self.0.lock().unwrap();
        let keys: Vec<String> = counts.keys().filter(|key| key.split(' ').next() == Some(name)).cloned().collect();
        let outcome = |key: &str| key.split(' ').nth(1).unwrap_or_default().to_owned();
        keys.into_iter().map(|key| (outcome(&key), counts.remove(&key).unwrap())).collect()
    }

    fn counted(&self, key: &Key) -> Arc<Counted> {
        let words: Vec<&str> = std::iter::once(key.name()).chain(key.labels().map(metrics::Label::value)).collect();
        Arc::new(Counted(self.clone(), words.join(" ")))
    }
}

impl CounterFn for Counted {
    fn increment(&self, value: u64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += value;
    }

    fn absolute(&self, _: u64) {}
}

impl HistogramFn for Counted {
    fn record(&self, _: f64) {
        self.increment(1);
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.counted(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.counted(key))
    }
}

fn once(outcome: &str) -> Vec<(String, u64)> {
    vec![(outcome.to_owned(), 1)]
}

#[tokio::test(start_paused = true)]
async fn every_call_and_cast_is_counted_once_by_its_outcome() {
    let counts = Counts::default();
    let _counting = metrics::set_default_local_recorder(&counts);
    let calls = || {
        let seconds: u64 = counts.take("oslo_messaging_call_seconds").iter().map(|(_, calls)| calls).sum();
        assert_eq!(seconds, 1, "its duration was recorded");
        counts.take("oslo_messaging_calls_total")
    };
    let broker = FakeBroker::new();
    let (bus, server) = bus_and_server(&broker).await;
    let context = Context::new();
    let arg = json!({"arg": 1});
    client(&bus).call::<Value>(&context, "echo", &arg).await.unwrap();
    assert_eq!(calls(), once("ok"));
    client(&bus).call::<String>(&context, "echo", &arg).await.unwrap_err();
    assert_eq!(calls(), once("decode"));
    client(&bus).call::<Value>(&context, "echo", &[1]).await.unwrap_err();
    assert_eq!(calls(), once("encode"));
    client(&bus).call::<Value>(&context, "refuse", &json!({"item": "pear"})).await.unwrap_err();
    assert_eq!(calls(), once("remote"));
    client(&bus).topic("absent").call::<Value>(&context, "echo", &arg).await.unwrap_err();
    assert_eq!(calls(), once("undeliverable"));
    let shop = client(&bus).timeout(secs(5));
    shop.call::<Value>(&context, "hang", &()).await.unwrap_err();
    assert_eq!(calls(), once("timeout"));
    assert!(tokio::time::timeout(secs(1), shop.call::<Value>(&context, "hang", &())).await.is_err());
    assert_eq!(calls(), once("dropped"));

    let casts = || counts.take("oslo_messaging_casts_total");
    client(&bus).cast(&context, "note", &arg).await.unwrap();
    assert_eq!(casts(), once("ok"));
    client(&bus).fanout().version("x").cast(&context, "note", &arg).await.unwrap_err();
    assert_eq!(casts(), once("invalid_target"));
    broker.faults().add(FaultRule::new(Fault::Return));
    client(&bus).mandatory(true).cast(&context, "note", &arg).await.unwrap_err();
    assert_eq!(casts(), once("undeliverable"));
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn every_request_is_counted_once_by_its_outcome() {
    let counts = Counts::default();
    let _counting = metrics::set_default_local_recorder(&counts);
    let requests = || {
        let seconds: u64 = counts.take("oslo_messaging_request_seconds").iter().map(|(_, requests)| requests).sum();
        assert_eq!(seconds, 1, "its duration was recorded");
        counts.take("oslo_messaging_requests_total")
    };
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let shop = Arc::new(Shop::default());
    let dying_bus = Bus::new(broker.transport());
    let dying = builder(&dying_bus, &shop).at_least_once().start(soon()).await.unwrap();
    let context = Context::new();
    client(&bus).call::<Value>(&context, "echo", &json!({"arg": 1})).await.unwrap();
    assert_eq!(requests(), once("ok"));
    client(&bus).call::<Value>(&context, "refuse", &json!({"item": "pear"})).await.unwrap_err();
    assert_eq!(requests(), once("expected_failure"));
    client(&bus).call::<Value>(&context, "panic", &()).await.unwrap_err();
    assert_eq!(requests(), once("failure"));
    client(&bus).call::<Value>(&context, "missing", &()).await.unwrap_err();
    assert_eq!(requests(), once("unknown_method"));
    client(&bus).call::<Value>(&context, "note", &json!({"other": 1})).await.unwrap_err();
    assert_eq!(requests(), once("bad_arguments"));
    client(&bus).version("7.0").call::<Value>(&context, "note", &json!({"arg": 1})).await.unwrap_err();
    assert_eq!(requests(), once("unsupported_version"));
    client(&bus).namespace("other").call::<Value>(&context, "note", &json!({"arg": 1})).await.unwrap_err();
    assert_eq!(requests(), once("unknown_namespace"));

    let caller = client(&bus);
    let hanging = caller.call::<Value>(&context, "hang", &());
    let takeover = async {
        shop.entered(1).await;
        drop(dying);
        drop(dying_bus);
        builder(&bus, &shop).refuse_redelivered().start(soon()).await.unwrap()
    };
    let (refused, server) = tokio::join!(hanging, takeover);
    refused.unwrap_err();
    assert_eq!(counts.take("oslo_messaging_requests_total"), [("aborted".into(), 1), ("refused".into(), 1)]);
    server.shutdown(soon()).await.unwrap();
}

#[test]
fn every_metric_is_in_the_documentation_and_nothing_else_is() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut used = BTreeSet::new();
    collect_metrics(&source, &mut used);
    // The module under which failures of ours travel, and the reference's sections of a configuration file.
    for other in ["oslo_messaging_rust", "oslo_messaging_notifications", "oslo_messaging_rabbit"] {
        assert!(used.remove(other), "{other}");
    }
    let library = std::fs::read_to_string(source.join("lib.rs")).unwrap();
    let row = |line: &str| Some(line.strip_prefix("//! | `")?.split(['`', '{']).next()?.to_owned());
    let listed: BTreeSet<String> = library.lines().filter_map(row).collect();
    assert_eq!(used, listed);
}

/// The names in quotes that begin as our metrics do, in every file under `folder`.
fn collect_metrics(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_metrics(&path, names);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            let quoted = text.split('"').filter(|text| {
                text.starts_with("oslo_messaging_")
                    && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            });
            names.extend(quoted.map(str::to_owned));
        }
    }
}
