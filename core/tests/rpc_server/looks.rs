//! What a call that times out says of the queue of its server.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use oslo_messaging::driver::{
    Address, Capabilities, Listener, Message, PublishOptions, QueueCounts, Subscription, Transport,
};
use oslo_messaging::{Bus, Context, Deadline, Error, ErrorKind, Health, Result, RpcClient, Target};
use oslo_messaging_fake::{FakeBroker, FakeTransport};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, advance};

use crate::common::{bus_server_and_shop, secs};

fn client(bus: &Bus) -> RpcClient {
    RpcClient::new(bus, Target::topic("shop")).timeout(secs(10))
}

async fn timed_out(client: &RpcClient, method: &str) -> BTreeMap<String, String> {
    let error = client.call::<()>(&Context::new(), method, &()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    facts(&error)
}

fn facts(error: &Error) -> BTreeMap<String, String> {
    error.context().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn counts(facts: &BTreeMap<String, String>) -> [Option<&str>; 2] {
    ["consumers", "ready"].map(|key| facts.get(key).map(String::as_str))
}

#[tokio::test(start_paused = true)]
async fn a_call_that_times_out_tells_a_server_that_is_gone_from_one_that_is_slow_and_names_its_message() {
    let broker = FakeBroker::new();
    let (bus, server, _shop) = bus_server_and_shop(&broker).await;
    let slow = timed_out(&client(&bus), "hang").await;
    assert_eq!(counts(&slow), [Some("1"), Some("0")], "{slow:?}");
    assert_eq!(slow["msg_id"].len(), 32, "{slow:?}");
    let _ = server.shutdown(Deadline::after(secs(1))).await;
    // A finding is reported for ten seconds only.
    advance(secs(20)).await;
    let gone = timed_out(&client(&bus), "echo").await;
    assert_eq!(counts(&gone), [Some("0"), Some("1")], "{gone:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_not_sent_looks_nowhere() {
    let broker = FakeBroker::new();
    let (bus, _server, _shop) = bus_server_and_shop(&broker).await;
    broker.faults().block("memory");
    let blocked = client(&bus).call::<()>(&Context::new(), "echo", &json!({"arg": 1})).await.unwrap_err();
    assert_eq!(counts(&facts(&blocked)), [None, None], "{blocked}");
}

#[tokio::test(start_paused = true)]
async fn many_calls_look_once_in_ten_seconds_and_never_past_their_time() {
    let broker = FakeBroker::new();
    let (_server_bus, _server, _shop) = bus_server_and_shop(&broker).await;
    let spy = std::sync::Arc::new(Spy { inner: broker.transport(), looked: Mutex::default() });
    let bus = Bus::new(std::sync::Arc::clone(&spy));
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let client = client(&bus);
        calls.spawn(async move { timed_out(&client, "hang").await });
    }
    let begun = Instant::now();
    for facts in calls.join_all().await {
        assert_eq!(facts["consumers"], "1");
    }
    assert_eq!(begun.elapsed(), secs(10), "an inspection that never ends delays no call");
    let looked = spy.looked.lock().unwrap().clone();
    assert_eq!(looked.len(), 2, "the queue of the server, and that of the replies: {looked:?}");
    assert_eq!(looked[0].1 - begun, secs(8));
}

/// Notes who looks where. What it says of a reply queue never comes.
#[derive(Debug)]
struct Spy {
    inner: FakeTransport,
    looked: Mutex<Vec<(Address, Instant)>>,
}

#[async_trait]
impl Transport for Spy {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.inner.health()
    }

    async fn publish(&self, to: &Address, message: Message, options: &PublishOptions) -> Result<()> {
        self.inner.publish(to, message, options).await
    }

    async fn subscribe(&self, subscription: &Subscription, deadline: Deadline) -> Result<Box<dyn Listener>> {
        self.inner.subscribe(subscription, deadline).await
    }

    async fn inspect(&self, address: &Address, deadline: Deadline) -> Result<Option<QueueCounts>> {
        self.looked.lock().unwrap().push((address.clone(), Instant::now()));
        if matches!(address, Address::Direct { .. }) {
            std::future::pending::<()>().await;
        }
        self.inner.inspect(address, deadline).await
    }

    async fn close(&self, deadline: Deadline) -> Result<()> {
        self.inner.close(deadline).await
    }
}
