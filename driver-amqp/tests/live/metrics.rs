//! What an operator can count of a connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit,
};
use oslo_messaging::ErrorKind;
use oslo_messaging::driver::{Address, Message, Transport};
use tokio::runtime::Builder;

use testkit::stage::{Stage, back, blocking, options, publish, refusal, server, soon, subscribe, take, topic};

/// Counts, and of gauges how far they are and how far they ever were, by name and label.
#[derive(Clone, Default)]
struct Meter(Arc<Mutex<BTreeMap<String, Measure>>>);

#[derive(Clone, Copy, Default)]
struct Measure {
    now: i64,
    most: i64,
}

struct Dial(Meter, String);

impl Meter {
    fn read(&self, name: &str) -> Measure {
        self.0.lock().expect("no panic while holding it").get(name).copied().unwrap_or_default()
    }

    /// What was counted under `name`.
    fn count(&self, name: &str) -> i64 {
        self.read(&format!("oslo_messaging_amqp_{name}_total")).now
    }

    /// How many transports there are in `state`, and how many were at a time.
    fn transports(&self, state: &str) -> (i64, i64) {
        let measure = self.read(&format!("oslo_messaging_amqp_transports {state}"));
        (measure.now, measure.most)
    }

    fn dial(&self, key: &Key) -> Arc<Dial> {
        let words: Vec<&str> = std::iter::once(key.name()).chain(key.labels().map(Label::value)).collect();
        Arc::new(Dial(self.clone(), words.join(" ")))
    }
}

impl Dial {
    fn turn(&self, by: i64) {
        let mut all = self.0.0.lock().expect("no panic while holding it");
        let measure = all.entry(self.1.clone()).or_default();
        measure.now += by;
        measure.most = measure.most.max(measure.now);
    }
}

impl CounterFn for Dial {
    fn increment(&self, value: u64) {
        self.turn(i64::try_from(value).expect("a small number"));
    }

    fn absolute(&self, _: u64) {}
}

impl GaugeFn for Dial {
    // Transports change their state one by one.
    fn increment(&self, _: f64) {
        self.turn(1);
    }

    fn decrement(&self, _: f64) {
        self.turn(-1);
    }

    fn set(&self, _: f64) {}
}

impl Recorder for Meter {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.dial(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.dial(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

pub(crate) async fn what_is_sent_and_what_happens_to_a_connection_is_counted() {
    let stage = Stage::shared().await;
    // A recorder that is not the whole process's hears its own thread.
    let alone = move || {
        let meter = Meter::default();
        let _metering = metrics::set_default_local_recorder(&meter);
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(count(&stage, &meter));
    };
    blocking(alone).await;
}

async fn count(stage: &Stage, meter: &Meter) {
    let transport = stage.connect().await;
    assert_eq!(meter.transports("ready"), (1, 1));
    let mut listener = subscribe(&transport, &server("counted")).await;
    publish(&transport, &topic("counted"), "one").await.expect("a publish");
    let nowhere = Address::Direct { queue: "nowhere".into() };
    let returned = transport.publish(&nowhere, Message::new(""), &options().mandatory()).await;
    assert_eq!(refusal(returned).kind(), ErrorKind::Undeliverable);
    stage.close_connections("counted").await;
    back(&transport, 1).await;
    take(listener.as_mut(), 1).await.remove(0).acknowledge().await.expect("an acknowledgement");

    let counters = transport.counters();
    for (name, counted) in [
        ("publishes", counters.publishes),
        ("confirms", counters.confirms),
        ("returns", counters.returns),
        ("losses", counters.losses),
        ("reconnects", counters.reconnects),
        ("recoveries", counters.recoveries),
        ("settlements_dropped", counters.settlements_dropped),
        ("deliveries_dropped", counters.deliveries_dropped),
    ] {
        assert_eq!(meter.count(name), i64::try_from(counted).expect("a small number"), "{name}");
        assert!(counted > 0 || name.ends_with("_dropped"), "{name}");
    }
    assert_eq!((meter.transports("ready").0, meter.transports("lost")), (1, (0, 1)));
    transport.close(soon()).await.expect("a close");
    drop(transport);
    for state in ["connecting", "ready", "blocked", "lost"] {
        assert_eq!(meter.transports(state).0, 0, "{state}");
    }
}
