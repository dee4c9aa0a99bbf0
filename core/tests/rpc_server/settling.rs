//! When a request is settled, and what becomes of one that comes back or whose caller is gone.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use oslo_messaging::driver::{
    Address, Capabilities, Capability, Listener, Message, PublishOptions, Subscription, Transport,
};
use oslo_messaging::{Bus, Context, Deadline, ErrorKind, Executed, Health, wire};
use oslo_messaging_fake::{FakeBroker, FakeTransport};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::common::{Shop, builder, secs, soon};
use crate::support::{client, request, shop_topic};

#[tokio::test(start_paused = true)]
async fn a_server_cannot_settle_after_the_answer_and_refuse_what_comes_back() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let both = builder(&bus, &Arc::new(Shop::default())).at_least_once().refuse_redelivered();
    let error = both.start(soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("at_least_once") && error.to_string().contains("refuse_redelivered"), "{error}");
    assert!(broker.queues().is_empty(), "no queue was declared for it");
}

#[tokio::test(start_paused = true)]
async fn a_server_killed_before_it_answers_loses_the_request_unless_it_settles_after_the_answer() {
    for (at_least_once, executions) in [(false, 1), (true, 2)] {
        let broker = FakeBroker::new();
        let bus = Bus::new(broker.transport());
        let shop = Arc::new(Shop::default());
        let settings = |bus: &Bus| {
            let settings = builder(bus, &shop);
            if at_least_once { settings.at_least_once() } else { settings }
        };
        let dying_bus = Bus::new(broker.transport());
        let dying = settings(&dying_bus).start(soon()).await.unwrap();
        client(&bus).cast(&Context::new(), "gated", &json!({"arg": 1})).await.unwrap();
        shop.entered(1).await;
        drop(dying);
        drop(dying_bus);
        let second = settings(&bus).start(soon()).await.unwrap();
        shop.release.add_permits(10);
        let _: Value = client(&bus).call(&Context::new(), "gated", &json!({"arg": "fence"})).await.unwrap();
        second.shutdown(soon()).await.unwrap();
        assert_eq!(shop.logged().iter().filter(|arg| **arg == json!(1)).count(), executions, "{at_least_once}");
    }
}

#[tokio::test(start_paused = true)]
async fn refuse_redelivered_answers_without_running() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let shop = Arc::new(Shop::default());
    // A first reader takes the request and dies before it settles it, so that the broker marks the next delivery.
    let taker_bus = Bus::new(broker.transport());
    let taker = builder(&taker_bus, &shop).at_least_once().start(soon()).await.unwrap();
    let caller = client(&bus);
    let context = Context::new();
    let args = json!({"arg": 1});
    let call = caller.call::<Value>(&context, "gated", &args);
    let takeover = async {
        shop.entered(1).await;
        drop(taker);
        drop(taker_bus);
        builder(&bus, &shop).refuse_redelivered().start(soon()).await.unwrap()
    };
    let (answered, server) = tokio::join!(call, takeover);
    let error = answered.unwrap_err();
    assert_eq!((error.kind(), error.executed()), (ErrorKind::Remote, Executed::Maybe));
    assert_eq!(shop.logged().len(), 1, "only the first server ran it");
    server.shutdown(soon()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_gone_keeps_no_permit_and_its_reply_is_given_up() {
    let broker = FakeBroker::new();
    let bus = Bus::new(broker.transport());
    let shop = Arc::new(Shop::default());
    let server = builder(&bus, &shop).concurrency(1).reserve(0).start(soon()).await.unwrap();
    let orphan = request("note", "orphan").with_call(Some(wire::CallFields::new("0".repeat(32), "reply_gone")));
    broker
        .transport()
        .publish(&shop_topic(), Message::new(orphan.encode()), &PublishOptions::by(soon()))
        .await
        .unwrap();
    let started = Instant::now();
    let _: Value = client(&bus).call(&Context::new(), "echo", &json!({"arg": 1})).await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(10), "the one permit was free: {:?}", started.elapsed());
    server.shutdown(Deadline::after(secs(120))).await.unwrap();
    let tried = started.elapsed();
    assert!((secs(55)..=secs(61)).contains(&tried), "the reply is tried for a minute: {tried:?}");
    assert_eq!(shop.logged(), [json!("orphan")]);
}

/// A transport that does not tell what it hands over again.
#[derive(Debug)]
struct Unmarked(FakeTransport);

#[async_trait]
impl Transport for Unmarked {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities().iter().filter(|capability| *capability != Capability::RedeliveredFlag).collect()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.health()
    }

    async fn publish(&self, to: &Address, message: Message, options: &PublishOptions) -> oslo_messaging::Result<()> {
        self.0.publish(to, message, options).await
    }

    async fn subscribe(
        &self,
        subscription: &Subscription,
        deadline: Deadline,
    ) -> oslo_messaging::Result<Box<dyn Listener>> {
        self.0.subscribe(subscription, deadline).await
    }

    async fn inspect(
        &self,
        address: &Address,
        deadline: Deadline,
    ) -> oslo_messaging::Result<Option<oslo_messaging::driver::QueueCounts>> {
        self.0.inspect(address, deadline).await
    }

    async fn close(&self, deadline: Deadline) -> oslo_messaging::Result<()> {
        self.0.close(deadline).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_marks_nothing_cannot_refuse_what_comes_back() {
    let broker = FakeBroker::new();
    let bus = Bus::new(Unmarked(broker.transport()));
    let refusing = builder(&bus, &Arc::new(Shop::default())).refuse_redelivered();
    assert_eq!(refusing.start(soon()).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(broker.queues().is_empty(), "no queue was declared for it");
}
