//! How the reply inbox of a bus opens: once for all calls, independent of the deadline of the first.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use common::{Shop, builder, secs, soon};
use oslo_messaging::driver::{
    Address, Capabilities, Listener, Message, PublishOptions, Source, Subscription, Transport,
};
use oslo_messaging::{
    Bus, Context, Deadline, Error, ErrorKind, Executed, Health, Result, Retry, RpcClient, RpcServer, Target,
};
use oslo_messaging_fake::{FakeBroker, FakeTransport};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

/// A transport whose broker takes its time with an inbox, or refuses it.
#[derive(Debug)]
struct Slow {
    inner: FakeTransport,
    takes: Duration,
    opened: AtomicUsize,
    refuses: Mutex<Option<Error>>,
}

impl Slow {
    fn to(broker: &FakeBroker, takes: Duration) -> Arc<Self> {
        let (opened, refuses) = (AtomicUsize::new(0), Mutex::default());
        Arc::new(Self { inner: broker.transport(), takes, opened, refuses })
    }

    fn refuse(&self, with: Option<Error>) {
        *self.refuses.lock().unwrap() = with;
    }

    /// How often an inbox was asked for.
    fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Transport for Slow {
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
        if subscription.source != Source::Inbox {
            return self.inner.subscribe(subscription, deadline).await;
        }
        self.opened.fetch_add(1, Ordering::Relaxed);
        // The queue is there before the answer is, so one who does not wait for the answer leaves it behind.
        let listener = self.inner.subscribe(subscription, deadline).await?;
        deadline.run("subscribe", tokio::time::sleep(self.takes)).await?;
        let refuses = self.refuses.lock().unwrap().clone();
        let Some(error) = refuses else { return Ok(listener) };
        listener.close(deadline).await?;
        Err(error)
    }

    async fn inspect(
        &self,
        address: &Address,
        deadline: Deadline,
    ) -> Result<Option<oslo_messaging::driver::QueueCounts>> {
        self.inner.inspect(address, deadline).await
    }

    async fn close(&self, deadline: Deadline) -> Result<()> {
        self.inner.close(deadline).await
    }
}

async fn shop_behind(transport: &Arc<Slow>) -> (Bus, RpcServer) {
    let bus = Bus::new(Arc::clone(transport));
    let server = builder(&bus, &Arc::new(Shop::default())).start(soon()).await.unwrap();
    (bus, server)
}

async fn echo(client: RpcClient) -> Result<Value> {
    client.call(&Context::new(), "echo", &json!({"arg": 1})).await
}

fn client(bus: &Bus) -> RpcClient {
    RpcClient::new(bus, Target::topic("shop"))
}

#[tokio::test(start_paused = true)]
async fn an_impatient_first_caller_and_a_dropped_one_cost_the_others_nothing_and_leave_no_queue() {
    let broker = FakeBroker::new();
    let transport = Slow::to(&broker, secs(3));
    let (bus, server) = shop_behind(&transport).await;
    let started = Instant::now();
    let dropped = async { tokio::time::timeout(secs(1), echo(client(&bus))).await.map(drop) };
    let impatient = echo(client(&bus).timeout(secs(2)));
    let patient = async { (echo(client(&bus)).await, started.elapsed()) };
    let (dropped, impatient, (patient, took)) = tokio::join!(dropped, impatient, patient);
    dropped.unwrap_err();
    let error = impatient.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Timeout, Executed::No));
    assert!(error.to_string().contains("connecting: 2s"), "it says where the time went: {error}");
    assert_eq!(patient.unwrap(), json!(1));
    assert_eq!((transport.opened(), took.as_secs()), (1, 3), "no call opened it again");
    server.shutdown(soon()).await.unwrap();
    bus.close(soon()).await.unwrap();
    broker.assert_idle();
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_share_the_error_and_the_next_caller_tries_anew() {
    let transport = Slow::to(&FakeBroker::new(), secs(3));
    let (bus, server) = shop_behind(&transport).await;
    transport.refuse(Some(Error::new(ErrorKind::Denied, "subscribe")));
    let (one, two) = tokio::join!(echo(client(&bus)), echo(client(&bus)));
    assert_eq!((one.unwrap_err().kind(), two.unwrap_err().kind()), (ErrorKind::Denied, ErrorKind::Denied));
    assert_eq!(transport.opened(), 1);
    transport.refuse(None);
    assert_eq!(echo(client(&bus)).await.unwrap(), json!(1));
    assert_eq!(transport.opened(), 2);
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn closing_the_bus_ends_an_opening_and_those_who_wait_for_it() {
    let transport = Slow::to(&FakeBroker::new(), secs(30));
    let bus = Bus::new(Arc::clone(&transport));
    let started = Instant::now();
    let closing = async {
        tokio::task::yield_now().await;
        bus.close(soon()).await
    };
    let (called, closed) = tokio::join!(echo(client(&bus)), closing);
    closed.unwrap();
    assert_eq!((called.unwrap_err().kind(), started.elapsed().as_secs()), (ErrorKind::Closed, 0));
    assert_eq!(echo(client(&bus)).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(transport.opened(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_inbox_that_cannot_open_for_now_is_tried_again_as_the_bus_says_and_a_timeout_tells_why() {
    let lost = Error::new(ErrorKind::Disconnected, "subscribe").transient();
    let transport = Slow::to(&FakeBroker::new(), Duration::ZERO);
    transport.refuse(Some(lost.clone()));
    let stubborn = Bus::new(Arc::clone(&transport));
    let error = echo(client(&stubborn).timeout(secs(5))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("disconnected"), "{error}");
    assert!(transport.opened() > 3, "tried {} times", transport.opened());

    let transport = Slow::to(&FakeBroker::new(), Duration::ZERO);
    transport.refuse(Some(lost));
    let hasty = Bus::builder(Arc::clone(&transport)).retry(Retry::never()).build();
    assert_eq!(echo(client(&hasty)).await.unwrap_err().kind(), ErrorKind::Disconnected);
    assert_eq!(transport.opened(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_with_time_left_outlives_an_opening_whose_time_ran_out() {
    let transport = Slow::to(&FakeBroker::new(), Duration::ZERO);
    let (bus, server) = shop_behind(&transport).await;
    transport.refuse(Some(Error::new(ErrorKind::Disconnected, "subscribe").transient()));
    let started = Instant::now();
    let repairing = async {
        tokio::time::sleep(secs(90)).await;
        transport.refuse(None);
    };
    let (answered, ()) = tokio::join!(echo(client(&bus).timeout(secs(300))), repairing);
    assert_eq!(answered.unwrap(), json!(1));
    assert!(started.elapsed() <= secs(105), "{:?}", started.elapsed());
    server.shutdown(soon()).await.unwrap();
}
